"""Files made to harm end within the limits, each in its own way, and the next picture is done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imgpipe.runtime import guard
from imgpipe.runtime.errors import Reason
from tests.hostile import BOMBS

pytestmark = [
    pytest.mark.skipif(not guard.can_fork(), reason="no fork here"),
    pytest.mark.xdist_group("hostile"),
]

DECODE_S, HANGS_S = 10.0, 60.0
MEMORY_MB, OWN_MB = 512, 120
"""What an image may take, and what the libraries and their data take beside it."""
TOLD = {
    "png of 2.5 gigapixels": "too_many_pixels",
    "png over its memory": "memory_limit",
    "png with a text of 300 MB": "done",
    "jpeg of 4.1 gigapixels": "too_many_pixels",
    "jpeg of 5,000 scans": "time_limit",
    "gif of 2,000 large frames": "too_many_frames",
    "gif of 100,000 frames": "too_many_frames",
    "webp of 268 megapixels": "too_many_pixels",
}
"""What the header tells, whatever the machine."""
ALONE = """
import json, resource, sys
from pathlib import Path
from imgpipe.runtime import image
from imgpipe.runtime.errors import Rejected
from imgpipe.runtime.guard import Guard
from imgpipe.runtime.settings import DECODING_SHARE, Limits
from tests.pictures import corners, encoded

memory = int(sys.argv[1]) << 20
limits = Limits(decode_s=float(sys.argv[2]), memory_bytes=memory, max_decoded_bytes=int(memory * DECODING_SHARE))
wanted = {"sizes": {"variants": {"large": {"width": 1600}, "small": {"width": 200}}, "exif": True}}
guarded = Guard(image.make)
try:
    guarded(sys.stdin.buffer.read(), wanted, limits)
    end = "done"
except Rejected as refusal:
    end = refusal.reason.value
good = guarded(encoded(corners()), wanted, limits)["sizes"].variants.keys()
own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])  # ru_maxrss outlives an exec
guarded.close()
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"end": end, "good": len(good), "own_mb": own // 1024, "child_mb": children // 1024}))
"""


def send(data: bytes) -> dict[str, Any]:
    """Work on `data`, then on a good picture, as a function of its own would."""
    ended = subprocess.run(
        [sys.executable, "-c", ALONE, str(MEMORY_MB), str(DECODE_S)],
        input=data,
        capture_output=True,
        check=False,
        timeout=HANGS_S,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert not ended.returncode, ended.stderr.decode()
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.fault("F-28")
def test_a_bomb_ends_within_the_limits_and_the_next_picture_is_done(name: str) -> None:
    data = BOMBS[name]()
    told = send(data)
    assert told["end"] in ({TOLD[name]} if name in TOLD else {"done", *Reason})
    assert told["good"] == 2
    assert told["child_mb"] < MEMORY_MB + OWN_MB
    assert told["own_mb"] < OWN_MB + 3 * len(data) // 1_000_000
