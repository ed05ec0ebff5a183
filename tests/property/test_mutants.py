"""Files that were good before somebody changed some of their bytes: each is done, or rejected with a
reason of the closed list. Nothing else comes out, and none takes longer than it may.

At least 300 files are tried, then more until `IMGPIPE_FUZZ_S` seconds (10) are over: the same ones in the same order
where CI is set, others each time elsewhere. To look for an hour: `IMGPIPE_FUZZ_S=3600 pytest -k changed_file`.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from imgpipe.runtime import guard, image
from imgpipe.runtime.errors import Rejected
from imgpipe.runtime.guard import Guard
from imgpipe.runtime.settings import Limits
from tests.pictures import corners, encoded, exif, opened

pytestmark = pytest.mark.skipif(not guard.can_fork(), reason="no fork here")

LIMITS = Limits(max_pixels=4_000_000, max_frames=50, decode_s=20, memory_bytes=400 << 20)
WANTED: dict[str, dict[str, Any]] = {
    "sizes": {"variants": {"medium": {"width": 60}, "small": {"width": 20, "format": "png"}}},
    "metadata": {"exif": True, "gps": "keep", "palette": 3},
}


def _animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


SMALL = corners(64, 48)
SEEDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(SMALL, exif=exif(t274=6, t271="Acme")),
    "progressive": lambda: encoded(SMALL, progressive=True),
    "cmyk": lambda: encoded(SMALL.convert("CMYK")),
    "png": lambda: encoded(SMALL, "PNG", exif=exif(t274=8)),
    "palette": lambda: encoded(SMALL.quantize(8), "PNG", transparency=0),
    "png16": lambda: encoded(Image.new("I;16", (64, 48), 30_000), "PNG"),
    "apng": lambda: _animated("PNG"),
    "gif": lambda: _animated("GIF"),
    "webp": lambda: encoded(SMALL, "WEBP"),
    "webp animated": lambda: _animated("WEBP"),
    "tiff": lambda: encoded(SMALL, "TIFF"),
    "tiff lzw": lambda: encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "tiff pages": lambda: _animated("TIFF"),
    "bmp": lambda: encoded(SMALL, "BMP"),
    "avif": lambda: encoded(SMALL, "AVIF", speed=10),
    "jpeg 2000": lambda: encoded(SMALL, "JPEG2000"),
    "ico": lambda: encoded(SMALL, "ICO", sizes=[(32, 32)]),
    "ppm": lambda: encoded(SMALL, "PPM"),
}


@cache
def good(name: str) -> bytes:
    return SEEDS[name]()


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A good file with bytes changed, removed, repeated or put in, more often near its beginning."""
    data = bytearray(good(draw(st.sampled_from(sorted(SEEDS)))))
    for _ in range(draw(st.integers(1, 8))):
        reach = draw(st.sampled_from([32, 256, len(data)]))
        at = draw(st.integers(0, max(0, min(reach, len(data)) - 1)))
        length = draw(st.sampled_from([1, 2, 4, 40]))
        match draw(st.sampled_from(["change", "extreme", "remove", "repeat", "insert", "cut"])):
            case "change":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "extreme":
                data[at : at + length] = draw(st.sampled_from([b"\0", b"\xff", b"\x7f"])) * length
            case "remove":
                del data[at : at + length]
            case "repeat":
                data[at:at] = data[at : at + length] * draw(st.integers(1, 50))
            case "insert":
                data[at:at] = draw(st.binary(max_size=12))
            case "cut":
                del data[max(at, 1) :]
    return bytes(data)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guard]:
    made = Guard(image.make)
    yield made
    made.close()


CI = bool(os.environ.get("CI"))
SECONDS = float(os.environ.get("IMGPIPE_FUZZ_S", "10"))
LEAST, AT_ONCE = 300, 50
"""Files that are tried whatever the time, and that are tried then before looking at the clock again."""
EACH = settings(deadline=None, derandomize=CI, suppress_health_check=[HealthCheck.too_slow])


def test_a_changed_file_is_done_or_rejected(guarded: Guard) -> None:
    def ends(data: bytes) -> None:
        try:
            made = guarded(data, WANTED, LIMITS)
        except Rejected:
            return
        json.dumps(dict(made["metadata"].facts), allow_nan=False)
        for picture in made["sizes"].variants.values():
            assert opened(picture.data).size == (picture.width, picture.height)

    over = time.monotonic() + SECONDS
    tried(ends, LEAST)
    for number in itertools.count(1):
        if time.monotonic() > over:
            break
        tried(ends, AT_ONCE, number)


def tried(ends: Callable[[bytes], None], count: int, number: int = 0) -> None:
    """Call `ends` with so many files; in CI, the ones of that number."""
    every = settings(EACH, max_examples=count)(given(data=mutants())(ends))
    (seed(number)(every) if CI and number else every)()


@pytest.mark.parametrize("name", SEEDS)
def test_what_is_changed_was_good(guarded: Guard, name: str) -> None:
    assert guarded(good(name), WANTED, LIMITS)["sizes"].variants.keys() == {"medium", "small"}
