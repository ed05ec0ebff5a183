"""What one worker process did, counted from the lines that it says at its work: also of one that was killed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

OVER = frozenset({"done", "rejected", "skipped", "handed over"})
NOT_OURS = "another step's"


@dataclass(slots=True)
class Count:
    """`done` are images that were worked on to an end, `failed` attempts that come back.

    A process's metrics count messages. Those that brought no image to work on, such as S3's test event, say no line of
    their own: they are told apart as `others`.
    """

    done: int = 0
    failed: int = 0
    _in_work: bool = False
    _messages: int = 0

    @property
    def others(self) -> int:
        return max(0, self._messages - self.done - self.failed - self._in_work)

    def hear(self, text: str) -> None:
        """Follow one line of the process; a line of anything else is passed over."""
        told = _read(text)
        match told.get("event"):
            case "start" if told.get("message_id"):
                self._end(done=True)  # some work says no more than that it began
                self._in_work = True
            case "failed" if told.get("message_id"):
                self._in_work, self.failed = False, self.failed + 1
            case "worker stopped":
                self._end(done=True)
            case "metrics":
                self._messages += int(told.get("Done", 0)) + int(told.get("Failed", 0))
            case event if event in OVER:
                self._end(done=told.get("why") != NOT_OURS)
            case _:
                pass

    def _end(self, *, done: bool) -> None:
        self.done += self._in_work and done
        self._in_work = False


def _read(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text) if text.startswith("{") else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
