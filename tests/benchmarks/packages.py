"""The Lambda zips: sizes for each architecture, and whether building them twice gives the same bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.timing import environment
from tests.e2e.pipeline import Pipeline

TARGETS = ("host", "x86_64", "arm64")


def measure() -> dict[str, Any]:
    first, second = _build(), _build()
    return {
        f"{it['target']} {it['source']}": {
            "bytes": it["size"],
            "same_hash_twice": it["sha256"] == again["sha256"],
        }
        for it, again in zip(first, second, strict=True)
    }


def _build() -> list[dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="imgpipe-bench-"))
    Pipeline.copy_to(folder)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "imgpipe", "package", "--target", "all", "--json"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found
    finally:
        shutil.rmtree(folder)
