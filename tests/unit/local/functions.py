"""Execution environments for tests: real processes, no cloud around them."""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgpipe.local.lambda_runtime import process
from imgpipe.local.lambda_runtime.code import runtime_folder
from imgpipe.local.lambda_runtime.environment import Environment
from imgpipe.local.lambda_runtime.function import Function, Invocation, Outcome

PORTABLE = str(process.HERE / "portable.py")
DEADLINE_S = 30


@dataclass
class Workshop:
    """Makes functions and environments under a folder."""

    folder: Path
    client: str = field(default_factory=process.client_here)
    events: list[tuple[str, str]] = field(default_factory=list)
    """The stream and the text of everything that was logged."""
    _open: list[Environment] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "tmp").mkdir(parents=True)
        self.code = self.folder / "code"
        self.code.mkdir()
        shutil.copy(Path(__file__).with_name("handlers.py"), self.code)
        self.host = process.Host(
            endpoint="http://127.0.0.1:1",
            runtime=runtime_folder(self.folder / "runtime"),
            scratch=self.folder / "tmp",
            client=self.client,
        )

    def function(self, handler: str = "echo", **changes: Any) -> Function:
        settings: dict[str, Any] = {
            "name": "probe",
            "arn": "arn:aws:lambda:us-east-1:000000000000:function:probe",
            "version": "$LATEST",
            "handler": f"handlers.{handler}",
            "runtime": "python3.11",
            "timeout_s": DEADLINE_S,
            "memory_mb": 512,
            "role": "arn:aws:iam::000000000000:role/probe",
            "account": "000000000000",
            "region": "us-east-1",
            "log_group": "/aws/lambda/probe",
            "code": self.code,
        }
        return Function(**{**settings, **changes})

    def environment(self, function: Function) -> Environment:
        credentials = {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "secret"}
        made = Environment(function, self.host, credentials, self._keep)
        self._open.append(made)
        return made

    def run(self, handler: str, event: Any = None, **changes: Any) -> Outcome:
        """Run a handler once, in an environment of its own."""
        return self.environment(self.function(handler, **changes)).invoke(call(event))

    def logged(self) -> list[str]:
        return [text for _, text in self.events]

    def close(self) -> None:
        for environment in self._open:
            environment.close()

    def _keep(self, _function: Function, stream: str, events: list[dict[str, Any]]) -> None:
        self.events += [(stream, event["message"]) for event in events]


def call(event: Any = None, request_id: str = "") -> Invocation:
    return Invocation(
        request_id=request_id or str(uuid.uuid4()),
        payload=json.dumps(event).encode(),
        arn="arn:aws:lambda:us-east-1:000000000000:function:probe:live",
        trace="Root=1-0-0",
    )


def is_running(pid: int) -> bool:
    """Whether the process lives; one that is dead and not yet waited for doesn't."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Wait until the condition answers with something true; fail at the deadline."""
    pause = threading.Event()
    for _ in range(int(deadline_s * 100)):
        if answer := condition():
            return answer
        pause.wait(0.01)
    raise AssertionError("the condition didn't come true")
