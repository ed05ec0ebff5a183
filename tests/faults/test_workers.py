"""Workers that are really stopped, killed and cut off: every image is done once, nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from PIL import Image

from tests.e2e.pipeline import Pipeline, Run, without_aws

PIPELINE = """\
version: 1
name: tinter
steps:
  tint: {via: worker, filters: [{tint: "#c83c32"}], variants: {tinted: {width: 60}}}
lambda: {timeout: 10s}
"""
HANDLER = """\
import os, time
from pathlib import Path
from imgpipe.runtime import image, steps

def make(data, wanted, limits):
    with Path(os.environ["SEEN"]).open("a") as seen:
        seen.write(f"{os.getpid()}\\n")
    time.sleep(float(Path(os.environ["SLOW"]).read_text()))
    return image.make(data, wanted, limits)

def handler(event, context):
    return dict(steps.run(event, context, make))
"""
DEADLINE_S = 90

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("workers")]


@dataclass(frozen=True)
class Tinter:
    """The pipeline, which all tests here share, and a test's own folder: images of other names are none of its own."""

    pipeline: Pipeline
    folder: Path

    def run(self, *args: str | Path, code: int | None = 0) -> Run:
        return self.pipeline.run(*args, code=code)

    def rows(self) -> list[dict[str, Any]]:
        prefix = f"incoming/{self.folder.name}/"
        listed = self.run("metadata", "list", "--prefix", prefix, "--json").json
        return [row for row in listed if row["key"].startswith(prefix)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("tinter")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    source = folder / "lambdas" / "images"
    source.mkdir(parents=True)
    (source / "handler.py").write_text(HANDLER)
    (source / "requirements.txt").write_text("pillow\n")
    pipeline = Pipeline(folder)
    try:
        pipeline.run("up", "--yes")
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


@pytest.fixture
def tinter(pipeline: Pipeline, tmp_path: Path) -> Tinter:
    """It is there, and nothing waits, whatever the test before left."""
    pipeline.run("local", "start")
    sqs = pipeline.client("sqs")
    [url] = [it for it in sqs.list_queues()["QueueUrls"] if it.endswith("-tint")]
    sqs.purge_queue(QueueUrl=url)
    (tmp_path / "slow").write_text("0")
    return Tinter(pipeline, tmp_path)


def album(tinter: Tinter, count: int) -> None:
    folder = tinter.folder / tinter.folder.name
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (90, 60), (number, 2 * number, 99)).save(folder / f"{number:02}.jpg")
    tinter.run("upload", folder)


class Worker:
    """`imgpipe worker` in a process of its own."""

    def __init__(self, tinter: Tinter, *options: str) -> None:
        self.folder = tinter.folder
        environment = {
            **without_aws(os.environ),
            "SEEN": str(self.folder / "seen"),
            "SLOW": str(self.folder / "slow"),
        }
        self.log = (self.folder / "worker.log").open("a")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "imgpipe",
                "worker",
                "tint",
                "--json",
                "--health",
                str(self.folder / "health.json"),
                *options,
            ],
            cwd=tinter.pipeline.folder,
            env=environment,
            stdout=self.log,
            stderr=self.log,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(DEADLINE_S)

    def attempts(self) -> list[str]:
        seen = self.folder / "seen"
        return seen.read_text().split() if seen.exists() else []

    def health(self) -> dict[str, Any]:
        path = self.folder / "health.json"
        told: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"workers": []}
        return told


def until(what: str, true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def all_done(tinter: Tinter, count: int) -> bool:
    found = tinter.rows()
    return len(found) == count and all(row["status"] == "done" for row in found)


@pytest.mark.capability("S1-9", "S1-10", "S1-14")
def test_many_workers_share_a_queue_and_none_repeats_anothers_work(tinter: Tinter) -> None:
    album(tinter, 24)
    queues = tinter.run("status", "--json").json["queues"]
    assert (
        next(q["visible"] for q in queues if q["name"] == "tint") >= 24
    )  # nobody works: they wait
    (tinter.folder / "slow").write_text("0.1")
    with Worker(tinter, "-n", "4") as worker:
        until("24 images done", lambda: all_done(tinter, 24))
        assert len({child["pid"] for child in worker.health()["workers"]}) == 4
        assert worker.health()["healthy"] is True
        assert worker.end() == 0
        assert len(worker.attempts()) == 24
        assert len(set(worker.attempts())) > 1
        assert worker.health()["healthy"] is False
    assert {row["steps"]["tint"]["attempts"] for row in tinter.rows()} == {1}


@pytest.mark.capability("S4-22")
def test_sigterm_finishes_what_is_in_work_and_gives_the_rest_back(tinter: Tinter) -> None:
    album(tinter, 6)
    (tinter.folder / "slow").write_text("1.5")
    with Worker(tinter, "--hold", "12h") as worker:
        until("work began", worker.attempts)
        assert worker.end() == 0
        first = len(worker.attempts())
    until("what was in work is done", lambda: len(tinter.rows()) == first)
    assert first < 6
    (tinter.folder / "slow").write_text("0")
    with Worker(tinter) as worker:  # with a hold of 12 h, what wasn't given back would not come
        until("the rest is done", lambda: all_done(tinter, 6))
        worker.end()
        assert len(worker.attempts()) == 6


@pytest.mark.fault("F-27")
def test_a_killed_worker_gives_its_image_to_another(tinter: Tinter) -> None:
    album(tinter, 3)
    (tinter.folder / "slow").write_text("30")
    with Worker(tinter, "--hold", "5s") as worker:
        until("work began", worker.attempts)
        os.kill(worker.health()["workers"][0]["pid"], signal.SIGKILL)
        (tinter.folder / "slow").write_text("0")
        until("all done", lambda: all_done(tinter, 3))
        until("started again", lambda: worker.health()["workers"][0]["restarts"] == 1)
        until("counted before any metrics line", lambda: worker.health()["workers"][0]["done"] == 3)
        assert worker.end() == 0
        assert len(worker.attempts()) == 4


def test_who_is_killed_at_work_still_says_what_was_done(tinter: Tinter) -> None:
    album(tinter, 3)
    (tinter.folder / "slow").write_text("0")
    with Worker(tinter, "--hold", "5s") as worker:
        until("all done", lambda: all_done(tinter, 3))
        (tinter.folder / "slow").write_text("60")
        first = tinter.folder / tinter.folder.name / "00.jpg"
        shutil.copy(first, tinter.folder / "late.jpg")
        tinter.run("upload", tinter.folder / "late.jpg")
        until("work began", lambda: len(worker.attempts()) == 4)
        worker.process.send_signal(signal.SIGTERM)
        until("it was heard", lambda: "stopping" in (tinter.folder / "worker.log").read_text())
        assert worker.end() == 130
    assert "stopped: 3 done, 0 attempts failed" in (tinter.folder / "worker.log").read_text()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_cloud_that_goes_away_and_comes_back_loses_nothing(tinter: Tinter) -> None:
    album(tinter, 4)
    (tinter.folder / "slow").write_text("0.5")
    with Worker(tinter, "--hold", "5s") as worker:
        until("work began", worker.attempts)
        server = json.loads((tinter.pipeline.folder / ".imgpipe" / "cloud.json").read_text())["pid"]
        os.kill(server, signal.SIGKILL)
        time.sleep(3)
        tinter.run("local", "start")
        until("all done", lambda: all_done(tinter, 4))
        assert worker.end() == 0


def test_bad_questions_are_refused_and_workers_end_with_a_command_that_was_killed(
    tinter: Tinter,
) -> None:
    for options, told in (
        ([], "--all"),
        (["nobody"], "there is none"),
        (["tint", "--hold", "1s"], "5s"),
        (["tint", "--all"], "--all"),
    ):
        assert told in tinter.run("worker", *options, code=2).err
    with Worker(tinter, "-n", "2") as worker:
        until("two work", lambda: sum(bool(c["pid"]) for c in worker.health()["workers"]) == 2)
        pids = [child["pid"] for child in worker.health()["workers"]]
        worker.end(signal.SIGKILL)
        until("nobody is left behind", lambda: not any(alive(pid) for pid in pids))
