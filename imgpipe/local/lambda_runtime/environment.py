"""An execution environment: one process of a function, and the invocations that it serves, one
after the other.

It is made by the first invocation and serves until something kills it: a timeout, more memory than
the function has, an exit, a failed start. Every limit ends the whole process group.

Memory is looked at every 50 ms, and its peak at the end of each invocation, so that a quick excess
is found too, if late. A start may take as long as the function's timeout, at least 30 s; AWS allows
10 s and then starts again.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe.local.lambda_runtime import lines, process
from imgpipe.local.lambda_runtime.exchange import Exchange, Said
from imgpipe.local.lambda_runtime.function import Outcome
from imgpipe.local.lambda_runtime.stream import Stream

if TYPE_CHECKING:
    from imgpipe.local.lambda_runtime.function import Function, Invocation
    from imgpipe.local.lambda_runtime.stream import Keep

INIT_S = 30.0
LOOK_S = 0.05
SOON_S = 0.2
"""How long the end of a process is waited for after it said why it ends."""


class FailedError(Exception):
    """The invocation came to nothing; `document` is what Lambda answers."""

    def __init__(self, error_type: str, document: bytes) -> None:
        super().__init__(error_type)
        self.error_type, self.document = error_type, document


class Environment:
    """Serves invocations of one function. Not for two threads at once."""

    def __init__(
        self,
        function: Function,
        host: process.Host,
        credentials: dict[str, str],
        keep: Keep,
    ) -> None:
        self.function, self._host, self._credentials = function, host, credentials
        now = datetime.now(UTC)
        self.log_stream = f"{now:%Y/%m/%d}/[{function.version}]{uuid.uuid4().hex}"
        self._stream = Stream(lambda events: keep(function, self.log_stream, events))
        self._exchange = Exchange()
        self._home = Path(tempfile.mkdtemp(dir=host.scratch))
        self._process: process.Process | None = None
        self._init_ms = 0.0
        self._seen_mb = 0
        self._ended = False
        self.idle_since = 0.0

    def is_alive(self) -> bool:
        """Return whether it can serve another invocation."""
        return not self._ended and self._process is not None and self._process.status() is None

    def kill(self) -> None:
        """Kill the process, from whatever thread: whoever waits for it sees its end."""
        self._ended = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Kill the process and remove what it left on disk."""
        self._ended = True
        if self._process is not None:
            self._process.end()
        self._exchange.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def invoke(self, invocation: Invocation) -> Outcome:
        """Run the function once. Whatever happens to the process, there is an outcome."""
        began = time.monotonic()
        self._stream.open()
        cold = self._process is None
        started = False
        try:
            if cold:
                self._start(invocation)
            began = time.monotonic()
            self._stream.add(lines.start(invocation.request_id, self.function.version))
            started = True
            payload, error_type = self._serve(invocation)
        except FailedError as failure:
            if not started:
                self._stream.add(lines.start(invocation.request_id, self.function.version))
            payload, error_type = failure.document, failure.error_type
        return self._conclude(invocation, payload, error_type, began, cold=cold)

    def _start(self, invocation: Invocation) -> None:
        """Start the process and wait until it asks for work."""
        function = self.function
        self._stream.add(lines.init_start())
        began = time.monotonic()
        self._process = process.Process(
            function,
            self._host,
            process.variables(
                function,
                self._host,
                runtime_api=self._exchange.address,
                log_stream=self.log_stream,
                home=self._home,
                credentials=self._credentials,
            ),
        )
        self._exchange.watch(self._process.log, self._process.ending)
        try:
            self._await_ready(invocation, began + max(INIT_S, function.timeout_s))
        except FailedError as failure:
            took = (time.monotonic() - began) * 1000
            self._read_rest()
            self._stream.add(lines.init_report(took, failure.error_type))
            raise
        self._init_ms = (time.monotonic() - began) * 1000

    def _await_ready(self, invocation: Invocation, deadline: float) -> None:
        while not self._exchange.is_asking:
            said = self._next(invocation, deadline)
            if said is not None and said.kind == "init-error":
                self._end()
                raise FailedError(said.error_type, said.body)

    def _serve(self, invocation: Invocation) -> tuple[bytes, str]:
        deadline = time.monotonic() + self.function.timeout_s
        self._await_ready(invocation, deadline)
        self._exchange.give(
            invocation.payload,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(
                    int((time.time() + self.function.timeout_s) * 1000)
                ),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
                "Lambda-Runtime-Trace-Id": invocation.trace,
            },
        )
        while True:
            said = self._next(invocation, deadline)
            if said is None or said.request_id != invocation.request_id:
                continue
            if said.kind == "error":
                return said.body, said.error_type
            if len(said.body) > lines.RESPONSE_MAX_BYTES:
                return lines.too_large(len(said.body)), lines.TOO_LARGE
            return said.body, ""

    def _next(self, invocation: Invocation, deadline: float) -> Said | None:
        """Wait a moment for the process to say something that matters; keep what it logs.

        Raises FailedError when it ended, or when a limit ended it.
        """
        found = None
        for said in self._exchange.wait(max(0.0, min(LOOK_S, deadline - time.monotonic()))):
            if said.kind == "log":
                self._stream.write(said.body)
            elif said.kind != "next":
                found = said
        if found is not None and found.kind != "ended":
            return found
        self._check(invocation, deadline)
        self._stream.flush_at_times()
        return None

    def _check(self, invocation: Invocation, deadline: float) -> None:
        process_ = self._running
        if (status := process_.status()) is not None:
            self._end()
            raise FailedError(lines.EXIT_ERROR, lines.exited(invocation.request_id, status))
        if time.monotonic() >= deadline:
            self._end()
            self._read_rest()
            timeout_s = self.function.timeout_s
            self._stream.add(lines.timeout_line(invocation.request_id, timeout_s))
            raise FailedError(lines.TIMED_OUT, lines.timed_out(invocation.request_id, timeout_s))
        self._seen_mb = max(self._seen_mb, process_.resident_mb())
        if self._seen_mb > self.function.memory_mb:
            self._end()
            raise FailedError(lines.EXIT_ERROR, lines.exited(invocation.request_id, -9))

    @property
    def _running(self) -> process.Process:
        if self._process is None:
            raise RuntimeError("the environment has not been started")
        return self._process

    def _end(self) -> None:
        self._seen_mb = max(self._seen_mb, self._running.peak_mb())
        self._ended = True
        self._running.end()

    def _read_rest(self) -> None:
        """What the function wrote before it answered or ended is in the pipe already."""
        for said in self._exchange.read_log():
            self._stream.write(said.body)

    def _conclude(
        self, invocation: Invocation, payload: bytes, error_type: str, began: float, *, cold: bool
    ) -> Outcome:
        duration_ms = (time.monotonic() - began) * 1000
        self._read_rest()
        if not self._ended:
            self._seen_mb = max(self._seen_mb, self._running.peak_mb())
        if self._seen_mb > self.function.memory_mb and not self._ended:
            self._end()
            error_type, payload = lines.EXIT_ERROR, lines.exited(invocation.request_id, -9)
        measured = lines.Measured(
            duration_ms=duration_ms,
            init_ms=self._init_ms if cold else 0.0,
            memory_mb=min(self._seen_mb, self.function.memory_mb),
            error_type=error_type,
        )
        self._stream.add(lines.end(invocation.request_id))
        self._stream.add(lines.report(invocation.request_id, self.function, measured))
        return Outcome(
            payload=payload,
            error_type=error_type,
            log=self._stream.close(),
            duration_ms=duration_ms,
            memory_mb=measured.memory_mb,
        )
