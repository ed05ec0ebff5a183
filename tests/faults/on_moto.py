"""A pipeline on moto, in this process, with a line laid to each of its services. Quick, and without waits.

Its functions are a line each: here only the calls are of interest.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws
from moto.core.models import botocore_stubber

from imgpipe.cloud import Cloud, Target
from imgpipe.deploy import graph, lease, package, spec, steps
from imgpipe.errors import ImgpipeError
from imgpipe.operate import provision
from imgpipe.operate.project import Project
from tests.faults.account import Snapshot, snapshot
from tests.faults.strikes import Killed, Line, Strike, lay
from tests.photos import ROOT

ACCOUNT, REGION = "123456789012", "us-east-1"
TEMPLATES = {
    "studio": ROOT / "pipeline.yaml",
    "point-to-point": ROOT / "imgpipe" / "templates" / "point-to-point" / "pipeline.yaml",
}
HANDLER = "def handler(event, context):\n    return event\n"


class LinedCloud(Cloud):
    """A Cloud whose clients are moto's, through a line."""

    def __init__(self, line: Line) -> None:
        super().__init__(Target("local", region=REGION, access_key="testing", secret_key="testing"))
        self.line, self._laid = line, set[str]()

    def client(self, service: str) -> Any:
        with self._lock:
            made = super().client(service)
            if service not in self._laid:
                self._laid.add(service)
                made.meta.events.unregister("before-send", botocore_stubber)
                lay(self.line, made, _answer)
            return made


_ONE_AT_A_TIME = threading.Lock()


def _answer(request: Any) -> Any:
    """Let moto answer. It is not made for several threads."""
    with _ONE_AT_A_TIME:
        return botocore_stubber("before-send", request)


@dataclass
class World:
    """An account of moto, empty at first, and the project that is put up in it."""

    project: Project
    line: Line
    dead_pid: int
    _plain: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a client that no fault meets."""
        if service not in self._plain:
            import boto3

            keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
            self._plain[service] = boto3.client(service, region_name=REGION, **keys)
        return self._plain[service]

    @contextmanager
    def fresh(self) -> Iterator[World]:
        """An account with nothing in it."""
        with mock_aws(config={"lambda": {"use_docker": False}}):
            yield self

    def calls(self, command: Callable[[], object]) -> list[str]:
        """Run a command undisturbed; return its changing calls."""
        with self.line.struck(None):
            command()
            return self.line.calls

    def disturbed(self, command: Callable[[], object], strike: Strike) -> ImgpipeError | None:
        """Run a command into a fault; return what it said of it. Anything but our own errors is a failure."""
        told = None
        with self.line.struck(strike):
            try:
                command()
            except Killed:
                pass
            except ImgpipeError as error:
                told = error
            assert self.line.met, f"no such call: {strike.call}"
            died = self.line.dead
        if died:
            self._bury()
        return None if died else told

    def _bury(self) -> None:
        """Make of a lease that is left one of a process of its own, which is dead."""
        s3, bucket = self.client("s3"), self.project.graph.variants_bucket
        try:
            body = json.loads(s3.get_object(Bucket=bucket, Key=lease.KEY)["Body"].read())
        except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
            return
        assert body["host"] == platform.node()
        body = json.dumps({**body, "pid": self.dead_pid}).encode()
        s3.put_object(Bucket=bucket, Key=lease.KEY, Body=body)

    def snapshot(self) -> Snapshot:
        return snapshot(self.client)

    def up(self) -> None:
        for _ in provision.up(self.project, provision.plan(self.project)):
            pass

    def down(self) -> None:
        project = self.project
        planned = provision.plan_down(project, delete_data=True)
        for _ in provision.down(project, planned, delete_data=True):
            pass


def world(folder: Path, template: str, patch: pytest.MonkeyPatch) -> World:
    """Lay out a project. moto takes a denial under conditions for one without; and nobody waits for a retry."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    patch.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
    patch.setattr("moto.awslambda.models.LambdaFunction.invoke", lambda *_: "{}")  # wants Docker
    patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    shutil.copy(TEMPLATES[template], folder / "pipeline.yaml")
    declared = spec.load(folder / "pipeline.yaml", "local")
    for source in steps.sources(declared):
        where = folder / "lambdas" / source
        where.mkdir(parents=True)
        (where / "handler.py").write_text(HANDLER)
    line = Line(kill=lambda: None)
    built = graph.build(
        declared,
        "local",
        account=ACCOUNT,
        region=REGION,
        code_hashes=package.code_hashes(declared, folder),
    )
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    return World(Project(folder, declared, built, LinedCloud(line)), line, dead.pid)
