"""What changed since somebody looked: images that came or moved on, whoever uploaded them.

No index knows when a row changed. So two questions are asked again and again: the latest uploads of every status, and
the rows of those that are still on their way. Both are bounded, whatever the size of the table.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from imgpipe.cloud import explain
from imgpipe.operate import metadata, rows
from imgpipe.operate.gallery import SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

LATEST = 40
MOST_LATEST = 400
"""Uploads that are looked at after a burst; the others are heard of when somebody scrolls to them."""
MOST_AWAITED = 2000
ASKED_AT_ONCE = 200
SILENT_S = 8.0
"""How long an image may keep silent before its dead letters are asked for, and how often they are."""
FINAL = frozenset({"done", "failed", "rejected", "removed"})


class Live:
    """Remembers what was told. `tell_latest`: begin with the latest uploads. Not for several threads at once."""

    def __init__(
        self,
        project: Project,
        now: Callable[[], float] = time.monotonic,
        *,
        tell_latest: bool = False,
    ) -> None:
        self._project, self._now = project, now
        self._told: dict[str, str] = {}
        self._awaited: dict[str, float] = {}
        self._begun = tell_latest
        self._looked = self._flooded = False

    @property
    def flooded(self) -> bool:
        """Whether more may have changed than was told the last time."""
        return self._flooded

    @property
    def busy(self) -> bool:
        """Whether images are on their way."""
        return bool(self._awaited)

    def expect(self, key: str) -> None:
        """Ask for this image from now on, until it ends."""
        self._await(key)
        self._told.pop(key, None)

    def changes(self) -> list[Row]:
        """Return the rows that changed since the last time; none the first time, unless the latest were asked for.

        Raises CloudError.
        """
        try:
            found = self._asked()
        except Exception as error:
            raise explain(error, "the images") from error
        fresh = [row for row in found.values() if self._is_news(row)]
        told = fresh if self._begun else [row for row in fresh if row["key"] in self._awaited]
        for row in fresh:
            self._note(row)
        self._begun = True
        return told

    def _asked(self) -> dict[str, Row]:
        found = {row["key"]: row for row in self._latest()}
        found |= rows.by_keys(self._project, list(self._awaited)[:ASKED_AT_ONCE])
        return found | self._silent(found)

    def _latest(self) -> list[Row]:
        """Read on until there is nothing new in `LATEST` of them."""
        found: list[Row] = []
        old = 0
        most = MOST_LATEST if self._looked else LATEST
        for row in rows.by_status(self._project, SHOWN, limit=most, page_size=LATEST // 2):
            found.append(row)
            old = 0 if self._is_news(row) else old + 1
            if old == LATEST:
                break
        self._flooded = self._looked and old < LATEST and len(found) == most
        self._looked = True
        return found

    def _silent(self, found: dict[str, Row]) -> dict[str, Row]:
        """Look closer at one image that keeps silent: a killed function tells nobody but its dead letters."""
        now = self._now()
        key = next(
            (
                key
                for key, since in self._awaited.items()
                if now - since > SILENT_S and found.get(key, {}).get("status") not in FINAL
            ),
            None,
        )
        if key is None:
            return {}
        self._awaited[key] = self._awaited.pop(key) + SILENT_S
        row = metadata.known(self._project, key)
        return {key: row} if row else {}

    def _is_news(self, row: Row) -> bool:
        return self._told.get(row["key"]) != _mark(row)

    def _note(self, row: Row) -> None:
        key = row["key"]
        self._told[key] = _mark(row)
        while len(self._told) > MOST_AWAITED:
            del self._told[next(iter(self._told))]
        if row["status"] in FINAL:
            self._awaited.pop(key, None)
        elif key not in self._awaited:
            self._await(key)

    def _await(self, key: str) -> None:
        self._awaited[key] = self._now()
        while len(self._awaited) > MOST_AWAITED:
            del self._awaited[next(iter(self._awaited))]


def _mark(row: Row) -> str:
    return f"{row['version_id']} {row['status']} {row['updated_at']}"
