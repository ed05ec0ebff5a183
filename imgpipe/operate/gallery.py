"""Images a page at a time, the latest upload first: what a gallery of any size is shown from.

A cursor says where a page ended: the moment, and the images of that very moment that were shown. So nothing is held
between pages, and an upload meanwhile moves nothing. A search reads on until it has a page, or until it has read
`BUDGET` rows: then the page is short or empty, and its cursor goes on from there.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.errors import UsageError
from imgpipe.operate import images, metadata, rows
from imgpipe.operate.hues import hues
from imgpipe.operate.times import from_iso

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

SHOWN = ("done", "in_flight", "failed", "rejected")
"""What a gallery shows; a removed image has nothing to look at."""
BUDGET = 2000
"""Rows that one page reads at most: about two seconds on the embedded cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to show; all conditions must hold. `name` and `camera` may be any part, in any case."""

    name: str = ""
    camera: str = ""
    colour: str = ""
    tags: tuple[str, ...] = ()
    statuses: tuple[str, ...] = SHOWN
    since: datetime | None = None
    until: datetime | None = None

    @property
    def chooses(self) -> bool:
        """Whether it chooses by what no index holds."""
        return bool(self.name or self.camera or self.colour or self.tags)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the cursor of the next page; None at the end."""

    rows: tuple[Row, ...]
    cursor: str | None


def page(project: Project, search: Search, cursor: str | None, size: int) -> Page:
    """Return the page after `cursor`, the first one for None. Raises UsageError for a broken cursor."""
    after, shown = _read(cursor) if cursor else (None, frozenset[str]())
    until = from_iso(after) if after else search.until
    few = None if search.chooses else size  # who must read many anyway reads them 1 MB at a time
    found = rows.by_status(project, search.statuses, since=search.since, until=until, page_size=few)
    fresh = (row for row in found if not (row["uploaded_at"] == after and row["key"] in shown))
    return _fill(project.graph.prefix, search, fresh, size, cursor)


def _fill(prefix: str, search: Search, found: Iterable[Row], size: int, cursor: str | None) -> Page:
    chosen: dict[str, Row] = {}
    at, here = _read(cursor) if cursor else ("", frozenset[str]())
    for number, row in enumerate(found):
        if len(chosen) == size or number == BUDGET:
            return Page(tuple(chosen.values()), _written(at, here))
        moment = str(row["uploaded_at"])
        here = here | {row["key"]} if moment == at else frozenset({row["key"]})
        at = moment
        if matches(prefix, search, row):
            chosen.setdefault(row["key"], row)
    return Page(tuple(chosen.values()), None)


def matches(prefix: str, search: Search, row: Row) -> bool:
    """Return whether a row is one that `search` shows, but for its status and date."""
    if search.name.casefold() not in images.short(prefix, row["key"]).casefold():
        return False
    if search.colour and search.colour not in hues(row["facts"].get("palette") or ()):
        return False
    return metadata.shows(search.tags, search.camera)(row)


def _written(at: str, here: frozenset[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, sorted(here)]).encode()).decode()


def _read(cursor: str) -> tuple[str, frozenset[str]]:
    try:
        at, here = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return str(at), frozenset(map(str, here))
    except (ValueError, TypeError) as error:
        raise UsageError("the cursor", "it is not one that a page gave") from error
