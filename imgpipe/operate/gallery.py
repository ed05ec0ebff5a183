"""Images a page at a time, the latest upload first: what a gallery of any size is shown from.

A cursor says where a page ended: the moment, and the images of that very moment that were shown. So nothing is held
between pages, and an upload meanwhile moves nothing. A search reads on until it has a page, or until it has read
`BUDGET` rows: then the page is short or empty, and its cursor goes on from there.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.errors import UsageError
from imgpipe.operate import images, metadata, rows
from imgpipe.operate.hues import hues
from imgpipe.operate.times import from_iso, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime

    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

SHOWN = ("done", "in_flight", "failed", "rejected")
"""What a gallery shows; a removed image has nothing to look at."""
BUDGET = 2000
"""Rows that one page reads at most: about two seconds on the embedded cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to show; all conditions must hold. `name` and `camera` may be any part, in any case.

    Raises UsageError for a `since` that is after `until`.
    """

    name: str = ""
    camera: str = ""
    colour: str = ""
    tags: tuple[str, ...] = ()
    statuses: tuple[str, ...] = SHOWN
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        in_order(self.since, self.until)

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
    # Who must read many anyway reads them 1 MB at a time. Of a page, a shard has about a quarter.
    few = None if search.chooses else (size + 1) // 2
    found = from_table(project, search, cursor, few)
    return fill(project.graph.prefix, search, found, size, cursor)


def beside(project: Project, row: Row) -> tuple[str, str]:
    """Return the keys of the images uploaded just after and just before this one; "" where it is the last, or first."""
    at, when = row["uploaded_at"], from_iso(row["uploaded_at"])

    def nearest(**stretch: Any) -> str:
        found = rows.by_status(
            project, SHOWN, page_size=2, where=lambda it: bool(it["uploaded_at"] != at), **stretch
        )
        return next((str(it["key"]) for it in found), "")

    return nearest(since=when, oldest_first=True), nearest(until=when)


def from_table(
    project: Project, search: Search, cursor: str | None, page_size: int | None = None
) -> Iterator[Row]:
    """Yield the rows after `cursor` that have the search's status and date, the latest first."""
    after, shown = place(cursor)
    until = from_iso(after) if after else search.until
    found = rows.by_status(
        project, search.statuses, since=search.since, until=until, page_size=page_size
    )
    return (row for row in found if not (row["uploaded_at"] == after and row["key"] in shown))


def fill(prefix: str, search: Search, found: Iterable[Row], size: int, cursor: str | None) -> Page:
    """Return a page of what `search` shows among the rows `found`, which come after `cursor`."""
    chosen: dict[str, Row] = {}
    at, here = place(cursor)
    applies = chooser(prefix, search)
    for number, row in enumerate(found):
        if len(chosen) == size or number == BUDGET:
            return Page(tuple(chosen.values()), written(at, here))
        moment = str(row["uploaded_at"])
        here = here | {row["key"]} if moment == at else frozenset({row["key"]})
        at = moment
        if applies(row):
            chosen.setdefault(row["key"], row)
    return Page(tuple(chosen.values()), None)


def chooser(prefix: str, search: Search) -> Callable[[Row], bool]:
    """Return what tells whether a row is one that `search` shows, but for its status and date."""
    name = search.name.casefold()
    noted = metadata.shows(search.tags, search.camera) if search.tags or search.camera else None

    def applies(row: Row) -> bool:
        if name and name not in images.short(prefix, row["key"]).casefold():
            return False
        if search.colour and search.colour not in hues(row["facts"].get("palette") or ()):
            return False
        return noted is None or noted(row)

    return applies


def written(at: str, here: Collection[str]) -> str:
    """Return the cursor after the images `here` of the moment `at`."""
    return base64.urlsafe_b64encode(json.dumps([at, sorted(here)]).encode()).decode()


def place(cursor: str | None) -> tuple[str, frozenset[str]]:
    """Return what a cursor says: a moment, "" at the beginning, and the images of that moment that were shown."""
    if not cursor:
        return "", frozenset()
    try:
        at, here = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return str(at), frozenset(map(str, here))
    except (ValueError, TypeError) as error:
        raise UsageError("the cursor", "it is not one that a page gave") from error
