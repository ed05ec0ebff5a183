"""The peak of resident memory of a fresh process that makes three variants of one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.core.job import Job
from tests.benchmarks.core.workers import NotHereError, Workers


def peaks_mb(
    workers: Workers, names: Sequence[str], files: Mapping[str, Path]
) -> dict[str, dict[str, float]]:
    """Return MB by file and engine; engines that can't are left out."""
    return {shown: _of(workers, names, path) for shown, path in files.items()}


def _of(workers: Workers, names: Sequence[str], path: Path) -> dict[str, float]:
    found = {}
    for name in names:
        workers.stop()
        try:
            answer = workers.ask(name, path, Job())
        except NotHereError:
            continue
        if "error" not in answer:
            found[name] = round(answer["peak_mb"], 1)
    workers.stop()
    return found
