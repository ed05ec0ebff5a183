"""`python -m tests.benchmarks.core.worker MODULE`: engines of one module at work in this process.

One JSON object a line in (`function`, `path`, `job`, `save`), one out: milliseconds by the wall and of processor
time, the variants' bytes, and the process's peak of resident memory in MB; or an `error`.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.benchmarks.core.job import Job


def main(module: str) -> None:
    engines = importlib.import_module(f"tests.benchmarks.core.engines.{module}")
    _say({"ready": True})
    for line in sys.stdin:
        try:
            _say(_done(engines, json.loads(line)))
        except Exception as error:  # noqa: BLE001 - an engine that can't is a result
            _say({"error": f"{type(error).__name__}: {error}"})


def _done(engines: ModuleType, asked: dict[str, Any]) -> dict[str, Any]:
    engine, job = getattr(engines, asked["function"]), Job.of(asked["job"])
    data = Path(asked["path"]).read_bytes()
    if asked.get("prepare") and hasattr(engines, "prepare"):
        engines.prepare(data, job)
    cpu, started = time.process_time(), time.perf_counter()
    made = engine(data, job)
    ended, cpu_ended = time.perf_counter(), time.process_time()
    if asked.get("save"):
        for number, each in enumerate(made):
            Path(f"{asked['save']}-{number}").write_bytes(each)
    return {
        "ms": (ended - started) * 1000,
        "cpu_ms": (cpu_ended - cpu) * 1000,
        "bytes": [len(each) for each in made],
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
