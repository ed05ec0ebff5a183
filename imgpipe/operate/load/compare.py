"""What decoupling buys, measured: the same two tiers joined by a call and by a queue, while all is well, while the
application tier is slow, and while it is down.

Uploads come at a steady rate and don't wait for one another. Told are how long a person waits for the answer, how many
uploads are refused, and how many have no pictures in the end, after the application tier has come back and had time.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.deploy.names import OPERATIONS
from imgpipe.errors import ImgpipeError
from imgpipe.operate import listing, plots
from imgpipe.operate.branches import creators, settings_of
from imgpipe.operate.load.tiers import ANSWER_S, VARIABLE, Setup
from imgpipe.operate.percentiles import percentiles
from imgpipe.operate.worker import credentials

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

Mode = Literal["coupled", "decoupled"]
Weather = Literal["calm", "slow", "down"]
MODES: tuple[Mode, ...] = ("coupled", "decoupled")
WEATHERS: tuple[Weather, ...] = ("calm", "slow", "down")
SLOW_S = 1.0
START_S = 60.0
SETTLE_S = 120.0
"""How long what was taken may need to be done, once the application tier is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """How one way fared in one weather; seconds."""

    mode: Mode
    weather: Weather
    uploads: int
    refused: int
    unprocessed: int
    upload_s: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "weather": self.weather,
            "uploads": self.uploads,
            "refused": self.refused,
            "unprocessed": self.unprocessed,
            "upload_s": dict(percentiles(self.upload_s)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    picture: bytes
    images: int = 12  # in each weather
    rate: float = 4.0
    slow_s: float = SLOW_S


def run(project: Project, plan: Plan) -> Iterator[Phase]:
    """Yield each phase as it ends. What was stored for it is deleted at the end."""
    for mode in MODES:
        with _place(project, mode) as (setup, slow):
            yield from _mode(project, plan, mode, setup, slow)


@contextmanager
def _place(project: Project, mode: Mode) -> Iterator[tuple[Setup, Path]]:
    """Make the queue, if there is one, and the folder; delete both in the end."""
    name = f"{OPERATIONS}/load/{uuid.uuid4().hex[:8]}/"
    sqs, url = project.cloud.client("sqs"), ""
    if mode == "decoupled":
        graph = project.graph
        queue = f"{graph.pipeline}-{graph.environment}-compare-{uuid.uuid4().hex[:6]}"
        url = sqs.create_queue(QueueName=queue, tags=dict(graph.tags))["QueueUrl"]
    with tempfile.TemporaryDirectory(prefix="imgpipe-compare-") as folder:
        slow = Path(folder) / "slow"
        slow.write_text("0")
        setup = Setup(
            bucket=project.graph.ops_bucket,
            prefix=name,
            web_port=_free_port(),
            app_port=_free_port(),
            queue_url=url,
            slow_file=str(slow),
            steps=_steps(project),
        )
        try:
            yield setup, slow
        finally:
            if url:
                sqs.delete_queue(QueueUrl=url)
            _delete(project, name)


def _steps(project: Project) -> dict[str, Any]:
    """Return the image work of the pipeline's first function that makes pictures."""
    for branch in creators(project.graph):
        steps = settings_of(branch).steps
        if any(step.get("variants") for step in steps.values()):
            return dict(steps)
    raise ImgpipeError("the comparison", "no step of this pipeline makes pictures")


def _mode(project: Project, plan: Plan, mode: Mode, setup: Setup, slow: Path) -> Iterator[Phase]:
    with _tier(project, setup, "web"):
        for weather in WEATHERS:
            slow.write_text(str(plan.slow_s) if weather == "slow" else "0")
            names = [f"{weather}-{number:04}.jpg" for number in range(plan.images)]
            if weather == "down":
                answers = _uploads(setup, plan, names)
                with _tier(project, setup, "app"):
                    left = _settle(
                        project, setup, names, wait_s=SETTLE_S if setup.queue_url else 5.0
                    )
            else:
                with _tier(project, setup, "app"):
                    answers = _uploads(setup, plan, names)
                    slow.write_text("0")
                    left = _settle(
                        project, setup, names, wait_s=SETTLE_S if setup.queue_url else 15.0
                    )
            yield Phase(
                mode=mode,
                weather=weather,
                uploads=len(names),
                refused=sum(not taken for taken, _ in answers),
                unprocessed=len(left),
                upload_s=tuple(seconds for _, seconds in answers),
            )


@contextmanager
def _tier(project: Project, setup: Setup, tier: Literal["web", "app"]) -> Iterator[None]:
    """Run a tier; in the end kill it, as a machine would fail."""
    port = setup.web_port if tier == "web" else setup.app_port
    process = subprocess.Popen(
        [sys.executable, "-m", "imgpipe.operate.load.tiers", tier],
        env={**os.environ, **credentials(project), VARIABLE: setup.dumps()},
    )
    try:
        _until(lambda: _answers(port), f"the {tier} tier", process)
        yield
    finally:
        process.kill()
        process.wait()


def _until(there: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while not there():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ImgpipeError(what, "it did not start")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
            return True
    except OSError:
        return False


def _uploads(setup: Setup, plan: Plan, names: list[str]) -> list[tuple[bool, float]]:
    """Send the uploads at the plan's rate; return for each whether it was taken, and after how long."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(names), "upload") as pool:
        jobs = [
            pool.submit(partial(_upload, setup, plan.picture, name, began + number / plan.rate))
            for number, name in enumerate(names)
        ]
        return [job.result() for job in jobs]


def _upload(setup: Setup, picture: bytes, name: str, due: float) -> tuple[bool, float]:
    time.sleep(max(0.0, due - time.monotonic()))
    began = time.monotonic()
    url = f"http://127.0.0.1:{setup.web_port}/{name}"
    try:
        with urllib.request.urlopen(url, data=picture, timeout=3 * ANSWER_S) as answer:
            answer.read()
        taken = True
    except (urllib.error.URLError, OSError):
        taken = False
    return taken, time.monotonic() - began


def _settle(project: Project, setup: Setup, names: list[str], *, wait_s: float) -> set[str]:
    """Wait until every upload has its pictures; return those that have none when the time is up."""
    deadline = time.monotonic() + wait_s
    while True:
        left = set(names) - _processed(project, setup)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


def _processed(project: Project, setup: Setup) -> set[str]:
    place = setup.made("")[:-1]
    keys = listing.keys(project, project.graph.ops_bucket, place)
    return {key.removeprefix(place).split("/", 1)[0] for key in keys}


def _delete(project: Project, prefix: str) -> None:
    s3, bucket = project.cloud.client("s3"), project.graph.ops_bucket
    keys = listing.keys(project, bucket, prefix)
    while some := [{"Key": key} for key in islice(keys, 1000)]:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plot(phases: list[Phase], path: Path) -> None:
    """Write a PNG: how long uploads took, and how many have no pictures, both ways in each weather."""
    figure = plots.figure("the same two tiers, joined by a call and by a queue", height=3.6)
    waits, losses = figure.subplots(1, 2)
    width = 0.38
    for offset, mode in enumerate(MODES):
        own = [phase for phase in phases if phase.mode == mode]
        places = [number + (offset - 0.5) * width for number in range(len(own))]
        p95 = [percentiles(phase.upload_s)["p95"] or 0.0 for phase in own]
        waits.bar(places, p95, width, label=mode)
        losses.bar(places, [phase.unprocessed for phase in own], width, label=mode)
    waits.set_title("a person waits, seconds (p95)")
    losses.set_title("uploads without pictures in the end")
    for axes in (waits, losses):
        axes.set_xticks(range(len(WEATHERS)), WEATHERS)
    plots.save(figure, (waits, losses), path, grid=False)
