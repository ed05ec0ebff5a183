"""A place that an image passes on its way, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from datetime import datetime

    from imgpipe.operate.log_search import Line

State = Literal["ok", "waiting", "broken", "none"]
Command = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A place that an image passes. `reason` and `next` are there when it didn't pass it as it should."""

    stage: str
    name: str
    state: State
    text: str
    at: datetime | None = None
    lines: tuple[Line, ...] = ()
    reason: str = ""
    next: tuple[Command, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "name": self.name,
            "state": self.state,
            "at": iso(self.at) if self.at else None,
            "text": self.text,
            "reason": self.reason or None,
            "log": [{"at": iso(line.at), "text": line.text} for line in self.lines],
            "next": [list(command) for command in self.next],
        }
