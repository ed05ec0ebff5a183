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
from pathlib import Path
from typing import Any

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

    @classmethod
    def from_template(cls, name: str, folder: Path) -> Pipeline:
        """Begin a project as a person does."""
        pipeline = cls(folder)
        pipeline.run("init", "--template", name)
        return pipeline

    def client(self, service: str) -> Any:
        """Return a boto3 client for the project's embedded cloud, as any other tool would make it."""
        import boto3

        lines = self.run("local", "env").out.splitlines()
        pairs = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
        told = {name: value.strip("'\"") for name, value in pairs}
        session = boto3.Session(
            told["AWS_ACCESS_KEY_ID"],
            told["AWS_SECRET_ACCESS_KEY"],
            region_name=told["AWS_DEFAULT_REGION"],
        )
        return session.client(service, endpoint_url=told["AWS_ENDPOINT_URL"])

    def run(self, *args: str | Path, code: int | None = 0, timeout_s: float = 180) -> Run:
        """Run `imgpipe ARGS` and check its exit code, unless `code` is None."""
        done = subprocess.run(
            [sys.executable, "-m", "imgpipe", *map(str, args)],
            cwd=self.folder,
            env={**without_aws(os.environ), "COLUMNS": "100", "NO_COLOR": "1", **self.variables},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        result = Run(done.returncode, done.stdout, done.stderr)
        assert code is None or result.code == code, (
            f"imgpipe {args}: exit {result.code}\n{result.out}\n{result.err}"
        )
        return result

    def wait_for(self, what: str, condition: Callable[[], Any], deadline_s: float = 90) -> Any:
        """Ask `condition` until it answers with something true; fail at the deadline."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            if answer := condition():
                return answer
            time.sleep(0.3)
        raise AssertionError(f"no {what} within {deadline_s:.0f} s")


def without_aws(variables: os._Environ[str]) -> dict[str, str]:
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith(("AWS_", "IMGPIPE_"))
    }
