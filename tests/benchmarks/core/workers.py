"""Starting the engines' processes and asking them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.benchmarks.core.engines import KNOWN
from tests.benchmarks.core.job import Job

HERE = Path(__file__).resolve().parent
NODE = HERE.parents[2] / ".venv" / "bench-node"
ONE_THREAD = {"VIPS_CONCURRENCY": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class NotHereError(Exception):
    """An engine isn't installed on this machine."""


class Workers:
    """A process for each engine that was asked, started when it is first asked, all on one core."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[str]] = {}
        self.missing: dict[str, str] = {}
        self.versions: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes; the next question starts fresh ones."""
        for process in self._running.values():
            with process:
                assert process.stdin is not None
                process.stdin.close()
        self._running.clear()

    def ask(self, name: str, path: Path, job: Job, **more: Any) -> dict[str, Any]:
        """Let an engine do a job once. Raises NotHereError when it isn't installed."""
        engine = KNOWN[name]
        process = self._running.get(name) or self._start(name)
        asked = {"function": engine.function, "path": str(path), "job": job.told(), **more}
        return _exchange(process, asked)

    def _start(self, name: str) -> subprocess.Popen[str]:
        if name in self.missing:
            raise NotHereError(self.missing[name])
        process = subprocess.Popen(
            _command(KNOWN[name].module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=HERE.parents[2],
            env={**os.environ, **ONE_THREAD},
        )
        os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready:
            self.missing[name] = f"{KNOWN[name].shown} isn't installed here"
            process.wait()
            raise NotHereError(self.missing[name])
        self.versions[KNOWN[name].module] = json.loads(ready).get("version")
        self._running[name] = process
        return process


def _command(module: str) -> list[str]:
    if module != "sharp":
        return [sys.executable, "-m", "tests.benchmarks.core.worker", module]
    return [shutil.which("node") or "false", str(HERE / "sharp.js"), str(NODE)]


def _exchange(process: subprocess.Popen[str], asked: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    return json.loads(answer) if answer else {"error": "its process died"}
