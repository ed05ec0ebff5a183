"""Results that nobody takes: they wait in their queue, no process grows with them, and people are told; then all are
written.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.pipeline import Pipeline
from tests.e2e.processes import Peaks

FEW, MANY = 60, 240
FUNCTION_MB = 8
"""What a process may grow by that goes on as before."""
WAITING_KB = 40
"""What the embedded cloud may take for an image, its variants, its log lines and its result that waits."""


def shoot(folder: Path, first: int, count: int) -> Path:
    """Write small pictures, none like another."""
    folder.mkdir()
    for number in range(first, first + count):
        picture = io.BytesIO()
        Image.new("RGB", (16, 16), (number % 256, number // 256, 90)).save(picture, "PNG")
        (folder / f"{number:05}.png").write_bytes(picture.getvalue())
    return folder


def resident_mb(pid: int) -> int:
    told = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert told
    return int(told[1]) // 1024


class Held:
    """A pipeline whose writer takes nothing."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        lock = json.loads((pipeline.folder / ".imgpipe" / "cloud.json").read_text())
        self.server: int = lock["pid"]
        functions, self.sqs = pipeline.client("lambda"), pipeline.client("sqs")
        found = functions.list_event_source_mappings()["EventSourceMappings"]
        [mapping] = [one for one in found if one["EventSourceArn"].endswith("-results")]
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        names = [one["EventSourceArn"].rpartition(":")[2] for one in found]
        self.urls = {name: self.sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in names}

    def waiting(self) -> dict[str, int]:
        """Return how many messages each queue holds, by the end of its name."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = {}
        for name, url in self.urls.items():
            told = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            found[name.rpartition("-")[2]] = sum(map(int, told.values()))
        return found

    def send(self, folder: Path, results: int) -> Peaks:
        """Upload a folder, wait until so many results wait, and return what processes hold."""
        self.pipeline.run("upload", folder)
        wanted = {"results": results, "resize": 0}
        self.pipeline.wait_for(f"{results} results", lambda: self.waiting() == wanted)
        peaks = Peaks()
        peaks.look(self.server)
        return peaks


def kept_bytes(folder: Path) -> int:
    """Return what lies where functions run: their code, and what they leave in their temporary folders."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.fault("F-30")
def test_results_that_nobody_takes_wait_and_are_written_when_the_writer_is_back(
    tmp_path: Path,
) -> None:
    pipeline = Pipeline.from_template("queued", tmp_path)
    try:
        pipeline.run("up", "--yes")
        held = Held(pipeline)
        few = held.send(shoot(tmp_path / "few", 0, FEW), FEW)
        server_mb, kept = resident_mb(held.server), kept_bytes(tmp_path / ".imgpipe" / "run")
        many = held.send(shoot(tmp_path / "many", FEW, MANY), FEW + MANY)
        for level in ("function", "image"):
            assert many.mb[level] <= few.mb[level] + FUNCTION_MB, (few, many)
        assert resident_mb(held.server) <= server_mb + 4 + MANY * WAITING_KB // 1000
        assert kept_bytes(tmp_path / ".imgpipe" / "run") <= kept + 100_000

        told = pipeline.run("status", "--check", code=3).out
        assert "nothing takes messages from queue results: its mapping is Disabled" in told
        found: list[dict[str, Any]] = pipeline.run("doctor", "--json", code=3).json
        [stuck] = [one for one in found if one["what"].startswith("queue queued-local-results")]
        assert f"{FEW + MANY} messages waiting" in stuck["what"]
        assert stuck["command"] == "imgpipe up"

        pipeline.run("up", "--yes")
        done = {"results": 0, "resize": 0}
        pipeline.wait_for("end of the results", lambda: held.waiting() == done)
        state = pipeline.run("status", "--json").json
        assert state["images"]["done"] == FEW + MANY
        assert not pipeline.run("dlq", "list", "--json").json
    finally:
        pipeline.run("local", "stop", code=None)
