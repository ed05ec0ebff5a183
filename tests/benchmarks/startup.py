"""`imgpipe --help` against Python's own start, and against the AWS CLI where it is installed."""

from __future__ import annotations

import shutil
import sys
from typing import Any

from tests.benchmarks.timing import command_s, spread

RUNS = 15


def measure() -> dict[str, Any]:
    python = spread(command_s([sys.executable, "-c", "pass"], RUNS))
    ours = spread(command_s([sys.executable, "-m", "imgpipe", "--help"], RUNS))
    found: dict[str, Any] = {
        "python_s": python,
        "help_s": ours,
        "over_python_s": round(ours["median"] - python["median"], 4),
    }
    if aws := shutil.which("aws"):
        found["peer: aws --version, s"] = spread(command_s([aws, "--version"], 5))
    return found
