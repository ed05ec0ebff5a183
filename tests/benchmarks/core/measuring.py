"""All rows of the image core's benchmark, and their figures as one JSON value."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

from tests.benchmarks.core import cold, memory, quality, race, subjects
from tests.benchmarks.core.engines import KNOWN
from tests.benchmarks.core.rows import COLD, Mark, Row, marks, rows
from tests.benchmarks.core.workers import Workers

LOOKED_AT = ("jpeg3", "thumb", "png3", "webp3_method4", "webp3_method2")
"""The rows whose pictures are compared as well as their times."""
ALIKE = frozenset({"floor", "ours_pillow"})
"""Not compared: what only makes a time."""
LIBRARIES = (
    "pillow",
    "cykooz.resizer",
    "isal",
    "pi-heif",
    "pyvips-binary",
    "opencv-python-headless",
    "numpy",
)


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Run everything: about ten minutes; with `quick`, fewer pictures and rounds, about two."""
    with Workers() as workers:
        wanted = rows(quick=quick)
        raced = {row.name: _row(workers, row) for row in wanted}
        likeness = {row.name: _quality(workers, row) for row in wanted if row.name in LOOKED_AT}
        _say("memory")
        peaks = memory.peaks_mb(
            workers, ("ours", "sharp", "sharp_best", "pyvips", "pillow"), _large(quick=quick)
        )
        versions = _versions(workers)
        missing = workers.missing
    _say("cold start")
    started = cold.measure(3 if quick else 11)
    return {
        "quick": quick,
        "ratios": [*_ratios(raced, marks(wanted)), cold_ratio(started)],
        "rows": raced,
        "quality": likeness,
        "memory_mb": peaks,
        "cold": started,
        "versions": versions,
        "missing": missing,
    }


def _row(workers: Workers, row: Row) -> dict[str, Any]:
    _say(row.shown)
    times = race.run(workers, row.engines, row.paths, row.job, row.rounds)
    base = row.engines[0]
    return {
        "shown": row.shown,
        "rounds": row.rounds,
        "pictures": len(row.paths),
        "megapixels": {path.name: subjects.megapixels(path) for path in row.paths},
        "engines": {
            name: {
                "shown": KNOWN[name].shown,
                "ms": race.mean(times, name),
                "cpu_ms": race.mean(times, name, "cpu_ms"),
                "bytes": _bytes(times[name]),
                "ratio": race.ratio(times, name, base),
                "cpu_ratio": race.ratio(times, name, base, "cpu_ms"),
            }
            for name in row.engines
        },
        "raw": times,
    }


def _quality(workers: Workers, row: Row) -> dict[str, Any]:
    _say(f"quality: {row.shown}")
    names = [name for name in row.engines if name not in ALIKE]
    engines = quality.measure(workers, names, row.paths, row.job)
    return {
        "shown": row.shown,
        "pictures": len(row.paths),
        "engines": engines,
        "against_sharp": quality.against_peer(engines),
    }


def _bytes(pictures: dict[str, dict[str, Any]]) -> int | None:
    """Return the bytes of all variants of all pictures that the engine could do, a picture."""
    found = [sum(noted["bytes"]) for noted in pictures.values() if "bytes" in noted]
    return round(sum(found) / len(found)) if found else None


def _ratios(raced: dict[str, dict[str, Any]], wanted: list[Mark]) -> list[dict[str, Any]]:
    found = []
    for mark in wanted:
        times, sizes = raced[mark.row]["raw"], raced[mark.row]["megapixels"]
        of = [picture for picture, megapixels in sizes.items() if megapixels >= mark.from_mp]
        ratio, by_cpu = (
            race.ratio(times, mark.slower, mark.quicker, clock, of) for clock in ("ms", "cpu_ms")
        )
        if ratio is not None:
            found.append(_answered(mark, ratio, by_cpu if mark.cpu else None))
    return found


def cold_ratio(started: dict[str, Any]) -> dict[str, Any]:
    """Return our cold start over plain Pillow's. It is processor time alone: no ratio by the wall."""
    ms = started["import"]
    by_cpu = round(ms["imgpipe_ms"] / ms["pillow_ms"], 3)
    return _answered(COLD, by_cpu, by_cpu)


def _answered(mark: Mark, ratio: float, cpu_ratio: float | None) -> dict[str, Any]:
    return {
        "name": mark.name,
        "shown": mark.shown,
        "ratio": ratio,
        "cpu_ratio": cpu_ratio,
        "least": mark.least,
        "most": mark.most,
        "met": mark.met(ratio),
    }


def _large(*, quick: bool) -> dict[str, Any]:
    files = {
        "12 MP": subjects.large_jpeg(),
        "100 MP": subjects.hundred_megapixels(progressive=False),
    }
    if quick:
        return files
    return files | {"100 MP, progressive": subjects.hundred_megapixels(progressive=True)}


def _versions(workers: Workers) -> dict[str, Any]:
    from PIL import features

    sharp = workers.versions.get("sharp") or {}
    return {
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
        "libjpeg-turbo (Pillow)": features.version("libjpeg_turbo"),
        **{
            f"{name} (sharp)" if name != "sharp" else name: sharp[name]
            for name in ("sharp", "vips")
            if name in sharp
        },
    }


def _say(what: str) -> None:
    sys.stderr.write(f"  {what} …\n")
    sys.stderr.flush()
