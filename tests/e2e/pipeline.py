"""A pipeline on an embedded cloud of its own, driven through the command line as a person would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from imgpipe.local import lifecycle
from tests.e2e.forked import POSSIBLE, Starter
from tests.photos import ROOT


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Pipeline:
    """A project's folder; `run` calls imgpipe in it, with these environment variables besides the usual ones."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def copy_to(cls, folder: Path) -> Pipeline:
        """Lay out a project: the default pipeline and its Lambda sources."""
        shutil.copy(ROOT / "pipeline.yaml", folder)
        shutil.copytree(
            ROOT / "lambdas", folder / "lambdas", ignore=shutil.ignore_patterns("__pycache__")
        )
        return cls(folder)

    def give_up_early(self) -> None:
        """Let messages become dead letters at their third failure, after 3 s, in place of the fifth, after 15."""
        declared = self.folder / "pipeline.yaml"
        text = declared.read_text()
        assert "retries: 5," in text
        declared.write_text(text.replace("retries: 5,", "retries: 3,"))

    @classmethod
    def from_template(cls, name: str, folder: Path) -> Pipeline:
        """Begin a project as a person does."""
        pipeline = cls(folder)
        pipeline.run("init", "--template", name)
        return pipeline

    def client(self, service: str) -> Any:
        """Return a boto3 client for the project's embedded cloud, as any other tool would make it."""
        running = lifecycle.status(self.folder)
        assert running is not None
        return _client(service, running)

    def run(self, *args: str | Path, code: int | None = 0, timeout_s: float = 180) -> Run:
        """Run `imgpipe ARGS` in a process of its own and check its exit code, unless `code` is None."""
        env = {**without_aws(os.environ), "COLUMNS": "100", "NO_COLOR": "1", **self.variables}
        done = _start([*map(str, args)], self.folder, env, timeout_s)
        result = Run(done.returncode, done.stdout, done.stderr)
        assert code is None or result.code == code, (
            f"imgpipe {args}: exit {result.code}\n{result.out}\n{result.err}"
        )
        return result

    def wait_for(self, what: str, condition: Callable[[], Any], deadline_s: float = 90) -> Any:
        """Ask `condition` until it answers with something true; fail at the deadline.

        Asking takes at most about half of the time: the pipeline needs the processors too.
        """
        end = time.monotonic() + deadline_s
        while (asked := time.monotonic()) < end:
            if answer := condition():
                return answer
            time.sleep(min(1.0, max(0.05, time.monotonic() - asked)))
        raise AssertionError(f"no {what} within {deadline_s:.0f} s")


def without_aws(variables: os._Environ[str]) -> dict[str, str]:
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith(("AWS_", "IMGPIPE_"))
    }


@cache
def _client(service: Any, running: lifecycle.Running) -> Any:
    import boto3

    session = boto3.Session(running.access_key, running.secret_key, region_name=running.region)
    return session.client(service, endpoint_url=running.endpoint)


_STARTER = Starter()
_met: set[str] = set()
"""Commands that these tests have started as a person does."""


def _start(
    args: list[str], folder: Path, env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Start a command as a person does, and in tests for the second time on without the wait for Python's imports."""
    plain = not POSSIBLE or "PYTEST_VERSION" not in os.environ or args[0] not in _met
    if plain or _is_measured(env):
        _met.add(args[0])
        return subprocess.run(
            [sys.executable, "-m", "imgpipe", *args],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    return _STARTER.run(args, folder, env, timeout_s)


def _is_measured(env: Mapping[str, str]) -> bool:
    """Return whether coverage.py counts lines: it does where Python starts."""
    return any(name.startswith("COVERAGE_PROCESS") for name in env)
