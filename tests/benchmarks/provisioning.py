"""`up` from nothing and unchanged; how many calls it makes, and what a slow network does to it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from imgpipe.deploy.calls import Calls
from imgpipe.operate import provision
from imgpipe.operate.project import open_project
from tests.benchmarks.timing import command_s, environment, spread
from tests.e2e.pipeline import Pipeline

RUNS = 3
DELAY_S = 0.05


def measure() -> dict[str, Any]:
    """Time whole commands, the start of the embedded cloud and the building of the zips included."""
    from_nothing, unchanged = [], []
    for _ in range(RUNS):
        folder = Path(tempfile.mkdtemp(prefix="imgpipe-bench-"))
        pipeline = Pipeline.copy_to(folder)
        try:
            from_nothing.append(_timed(folder, "up", "--yes"))
            unchanged += command_s([sys.executable, "-m", "imgpipe", "up", "--yes"], 3, folder)
        finally:
            pipeline.run("local", "stop", code=None)
            shutil.rmtree(folder)
    return {
        "up_from_nothing_s": spread(from_nothing),
        "up_unchanged_s": spread(unchanged),
    } | _calls()


def _timed(folder: Path, *args: str) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "imgpipe", *args],
        cwd=folder,
        check=True,
        capture_output=True,
        env=environment(),
    )
    return time.perf_counter() - started


def _calls() -> dict[str, Any]:
    """Put the pipeline up twice in this process: as it is, and with every answer `DELAY_S` late.

    The zips are built before, so that the difference is the network's alone. Divided by the delay it is the number
    of calls that had to wait for one another: the critical path.
    """
    folder = Path(tempfile.mkdtemp(prefix="imgpipe-bench-"))
    pipeline = Pipeline.copy_to(folder)
    try:
        pipeline.run("up", "--yes")
        plain_s, calls = _up_again(pipeline, 0.0)
        delayed_s, _ = _up_again(pipeline, DELAY_S)
    finally:
        pipeline.run("local", "stop", code=None)
        shutil.rmtree(folder)
    return {
        "up_calls": calls.total,
        "up_mutating_calls": calls.mutating.total(),
        "up_zips_ready_s": round(plain_s, 3),
        f"up_zips_ready_{DELAY_S * 1000:.0f}ms_delay_s": round(delayed_s, 3),
        "critical_path_calls": round((delayed_s - plain_s) / DELAY_S),
    }


def _up_again(pipeline: Pipeline, delay_s: float) -> tuple[float, Calls]:
    pipeline.run("down", "--yes", "--delete-data")
    project = open_project(pipeline.folder / "pipeline.yaml", "local")
    calls = Calls()
    calls.watch(project.cloud.session)
    if delay_s:
        project.cloud.session.events.register("before-send", lambda **_: time.sleep(delay_s))
    started = time.perf_counter()
    for event in provision.up(project, provision.plan(project)):
        if event.state == "failed":
            raise RuntimeError(str(event))
    return time.perf_counter() - started, calls
