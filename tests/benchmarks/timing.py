"""Repeated timing of whole commands."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def command_s(args: Sequence[str], runs: int, cwd: Path | None = None) -> list[float]:
    """Return the wall-clock seconds of each run, after one that isn't counted. The command must succeed."""
    taken = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(args, cwd=cwd, check=True, capture_output=True, env=environment())
        taken.append(time.perf_counter() - started)
    return taken[1:]


def environment() -> dict[str, str]:
    """Return a person's environment: no cloud of ours or theirs, and Python may keep what it compiled."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "IMGPIPE_")) and name != "PYTHONDONTWRITEBYTECODE"
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
        "runs": len(values),
    }
