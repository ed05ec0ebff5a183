"""The engines in turn: on each picture, for each round, one after the other."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.core.job import Job
from tests.benchmarks.core.workers import NotHereError, Workers

Times = dict[str, dict[str, dict[str, Any]]]
"""By engine and picture: `ms` and `cpu_ms` of all rounds, `bytes` of the variants; or `error`."""


def run(
    workers: Workers, names: Sequence[str], paths: Iterable[Path], job: Job, rounds: int
) -> Times:
    """Let each engine do the job on each picture `rounds` times, after once that doesn't count."""
    times: Times = {name: {} for name in names}
    for path in paths:
        for turn in range(rounds + 1):
            order = names if turn % 2 else names[::-1]
            for name in order:
                _take(times[name], workers, name, path, job, turn)
    return times


def _take(
    taken: dict[str, dict[str, Any]], workers: Workers, name: str, path: Path, job: Job, turn: int
) -> None:
    noted = taken.setdefault(path.name, {"ms": [], "cpu_ms": []})
    if "error" in noted:
        return
    try:
        answer = workers.ask(name, path, job, prepare=turn == 0)
    except NotHereError as missing:
        answer = {"error": str(missing)}
    if "error" in answer:
        noted["error"] = answer["error"]
    elif turn:
        noted["ms"].append(round(answer["ms"], 2))
        noted["cpu_ms"].append(round(answer["cpu_ms"], 2))
        noted["bytes"] = answer["bytes"]


def least(times: Times, name: str, picture: str, clock: str = "ms") -> float | None:
    """Return an engine's least time on a picture in ms; None if it couldn't."""
    noted = times.get(name, {}).get(picture, {})
    return min(noted[clock]) if noted.get(clock) and "error" not in noted else None


def ratio(
    times: Times,
    slower: str,
    quicker: str,
    clock: str = "ms",
    pictures: Collection[str] | None = None,
) -> float | None:
    """Return how many times `quicker`'s time `slower` takes: the median over the pictures both could do,
    of `pictures` if they are given.
    """
    found = []
    for picture in times.get(quicker, {}) if pictures is None else pictures:
        above, below = least(times, slower, picture, clock), least(times, quicker, picture, clock)
        if above and below:
            found.append(above / below)
    return round(statistics.median(found), 3) if found else None


def mean(times: Times, name: str, clock: str = "ms") -> float | None:
    """Return an engine's mean over the pictures, in ms, of its least times."""
    found = [least(times, name, picture, clock) for picture in times.get(name, {})]
    known = [each for each in found if each is not None]
    return round(statistics.mean(known), 1) if known else None
