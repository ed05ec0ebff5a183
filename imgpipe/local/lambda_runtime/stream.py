"""An environment's log stream: bytes from the process become events, a line each.

AWS's runtime client separates the lines of one error by carriage returns, so that it stays one
event; here they become line feeds. Events are kept at the end of each invocation, and once a second
in a long one, so that it can be followed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe.local.lambda_runtime.function import Function

FLUSH_S = 1.0
EVENT_MAX_BYTES = 256 * 1024 - 26

Event = dict[str, Any]
Keep = Callable[["Function", str, list[Event]], None]


class Stream:
    """Collects the events of one invocation at a time."""

    def __init__(self, keep: Callable[[list[Event]], None]) -> None:
        self._keep = keep
        self._waiting: list[Event] = []
        self._text: list[str] = []
        self._partial = b""
        self._flushed = 0.0

    def open(self) -> None:
        """Begin an invocation."""
        self._text = []
        self._flushed = time.monotonic()

    def write(self, data: bytes) -> None:
        """Take what the process wrote; the end of an unfinished line is waited for."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        for line in whole:
            self._line(line)
        while len(self._partial) > EVENT_MAX_BYTES:
            self._line(self._partial[:EVENT_MAX_BYTES])
            self._partial = self._partial[EVENT_MAX_BYTES:]

    def add(self, line: str) -> None:
        """Add a line of Lambda's own."""
        if self._partial:
            self._line(self._partial)
            self._partial = b""
        now = int(time.time() * 1000)
        self._waiting.append({"timestamp": now, "message": line, "ingestionTime": now})
        self._text.append(line)

    def flush_at_times(self) -> None:
        """Keep what there is, if the last time was a while ago."""
        if self._waiting and time.monotonic() - self._flushed > FLUSH_S:
            self._flush()

    def close(self) -> str:
        """End the invocation: keep everything and return its text."""
        self._flush()
        return "\n".join(self._text)

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r").replace("\r", "\n")
        now = int(time.time() * 1000)
        self._waiting.append({"timestamp": now, "message": text, "ingestionTime": now})
        self._text.append(text)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._flushed = time.monotonic()
        if waiting:
            self._keep(waiting)
