"""What was found out about one key, as values: what `ask` fills and `trace` reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.resources import Key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from imgpipe.operate.claims import Claim
    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.log_search import Invocation, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of the key in the uploads bucket; a `marker` says that the key was deleted."""

    id: str | None
    at: datetime
    size: int = 0
    etag: str = ""
    latest: bool = False
    marker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How many messages a queue shows, hides and holds back now."""

    visible: int = 0
    in_flight: int = 0
    delayed: int = 0

    @property
    def total(self) -> int:
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True, slots=True)
class Attempt:
    """An invocation, and those of its lines that are about the image."""

    run: Invocation
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known. `missing` outputs are named by the row and not in the bucket.

    `wiring` maps what is not as declared to the difference; it is empty when nobody asked. `unreadable` maps what
    couldn't be asked to the reason.
    """

    key: str
    now: datetime
    versions: tuple[Version, ...] = ()
    subject: Version | None = None
    row: Mapping[str, Any] | None = None
    attempts: tuple[Attempt, ...] = ()
    letters: tuple[Letter, ...] = ()
    depths: Mapping[str, Depth] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    unconfirmed: bool = False  # every address that is to get notices
    wiring: Mapping[Key, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    unfinished: datetime | None = None
    similar: tuple[str, ...] = ()
    receipt: Mapping[str, Any] | None = None  # of its erasure, where nothing of it is left

    @property
    def arrived(self) -> bool:
        """Whether anything at all speaks of the key."""
        return bool(self.versions or self.row or self.attempts or self.letters or self.receipt)

    @property
    def erased(self) -> bool:
        """Whether it was erased, and nothing came under its key since; log lines of it may be left."""
        return bool(self.receipt) and not (self.versions or self.row or self.letters)

    @property
    def row_of_subject(self) -> Mapping[str, Any] | None:
        """The row, if it is about the version that is asked for. A tombstone is about what was removed last."""
        if self.row is None or self.subject is None:
            return self.row
        if self.subject.marker and self.row["status"] == "removed":
            return self.row
        return self.row if self.row["version_id"] == self.subject.id else None
