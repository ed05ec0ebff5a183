"""The latest images, held in memory: what a search that no index answers is made from, while somebody looks; and the
pages of all images that follow the first one.

A search by name, camera, colour or tag must read every row; that takes seconds where a person types. So what such a
search chooses by is held here, of `MOST` images at most (some 950 bytes each). Nothing is shown from memory: the rows
of a page are read when it is asked for, so that what is shown is what is so. The latest come first: a search uses what
the first reading has so far. Older images than are held come from the table.

It is told of changes by who hears of them (`note`), and reads all again every `AGAIN_S`, for those nobody heard of.
Why not an index in the table: DynamoDB has none that finds a part of a name.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.operate import gallery, hues, metadata, rows
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

MOST = 100_000
PART = 2_000
"""After so many rows, twice as many, and so on, the first reading lets searches use what it has."""
AGAIN_S = 600.0
"""On AWS a reading of 100,000 rows is about 37,500 read units: a cent."""
FLOODED_S = 30.0
"""How long after a burst that was told in part all is read again: meanwhile the table is asked."""
DEAF_S = 10.0
"""Who heard nothing for so long may be wrong, and is not asked."""
FACTS = ("palette", "tags", "exif")
SAMPLE = 20
SLICE, REST_S = 100, 0.01
"""After so many rows the reading lets others have the processor."""


@dataclass(frozen=True, slots=True)
class Held:
    """What was read, the latest upload first, and whether that is all there is."""

    rows: tuple[Row, ...]
    whole: bool


class Catalogue:
    """May be used by several threads at once."""

    def __init__(
        self,
        project: Project,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        most: int = MOST,
    ) -> None:
        self._project, self._now, self._sleep, self._most = project, now, sleep, most
        self._lock = threading.Lock()
        self._known: dict[str, Row] | None = None
        self._meanwhile: dict[str, Row] = {}
        self._order: tuple[Row, ...] | None = None
        self._whole = self._partial = self._reading = self._deaf = self._wary = False
        self._since = ""
        self._due = self._heard_at = -math.inf

    def take_turn(self) -> bool:
        """Return whether it is time to `read`; who is told so must do it."""
        with self._lock:
            mine = not self._reading and self._now() >= self._due
            self._reading = self._reading or mine
            return mine

    def read(self) -> None:
        """Read the table's latest rows. Raises CloudError; then it is tried again a while later."""
        found: list[Row] = []
        part = PART
        try:
            for row in self._latest():
                found.append(row)
                if len(found) == part:
                    self._begin(found)
                    part *= 2
            with self._lock:
                self._partial = False
                self._hold(found, whole=len(found) <= self._most)
        except Exception as error:
            raise explain(error, "the images") from error
        finally:
            with self._lock:
                self._meanwhile.clear()
                self._due = self._now() + (FLOODED_S if self._wary else AGAIN_S)
                self._reading = self._wary = False

    def _begin(self, found: Sequence[Row]) -> None:
        """Hold what a reading has so far, where nothing else is held."""
        with self._lock:
            if self._partial or self._known is None:
                self._partial = not self._wary
                self._hold(found, whole=False)

    def _hold(self, found: Sequence[Row], *, whole: bool) -> None:
        """Hold the latest images as they were read, and what was heard of meanwhile. The lock is held."""
        latest = found[: self._most]
        self._since = "" if whole else str(latest[-1]["uploaded_at"])
        self._known = None if self._wary else {it["key"]: it for it in latest}
        self._whole, self._order = whole, None
        for row in self._meanwhile.values():
            self._keep(row)

    def note(self, changed: Iterable[Row]) -> None:
        """Hear of all rows that changed since the last time, none if none did."""
        with self._lock:
            if self._now() - self._heard_at > DEAF_S:
                self._due = -math.inf
            self._heard_at, self._deaf = self._now(), False
            for row in map(_slim, changed):
                if self._reading:
                    self._meanwhile[row["key"]] = row
                self._keep(row)

    def mistrust(self) -> None:
        """Hear that more changed than was told: what is held answers nothing until all is read again, a while later."""
        with self._lock:
            self._known, self._order, self._wary = None, None, self._reading
            self._partial = False
            self._due = min(self._due, self._now() + FLOODED_S)

    def forget(self, key: str) -> None:
        """Hear that an image is gone for good."""
        with self._lock:
            self._meanwhile.pop(key, None)
            if self._known and self._known.pop(key, None):
                self._order = None

    def hear_no_more(self) -> None:
        """Answer nothing from memory until `note` tells what came meanwhile."""
        with self._lock:
            self._deaf = True

    def page(self, search: gallery.Search, cursor: str | None, size: int) -> gallery.Page:
        """Return what `gallery.page` does: from memory what no index answers, and what follows a first page of all.

        Of all, the first page is the table's, and shows what came this moment. One that follows is a single question
        about known keys instead of one for each status and shard.
        """
        follows = bool(cursor) and search.statuses == gallery.SHOWN
        held = self._held() if search.chooses or follows else None
        if held is None:
            read = gallery.page(self._project, search, cursor, size)
            if self._missed(read.rows):
                self.mistrust()
            return read
        found = self._rows(held, search, cursor, size)
        return gallery.fill(self._project.graph.prefix, search, found, size, cursor)

    @property
    def ready(self) -> bool:
        """Whether it has read all that it may, and hears of changes."""
        return self._held() is not None and not self._partial

    def counts(self) -> dict[str, int] | None:
        """Return how many images have each status; None while not all are held."""
        held = self._held()
        if held is None or not held.whole:
            return None
        counted = Counter(row["status"] for row in held.rows)
        return {status: counted[status] for status in gallery.SHOWN}

    def _latest(self) -> Iterator[Row]:
        """Read what all know of, of the steps that are declared and of those that the latest rows still name."""
        latest = rows.by_status(self._project, gallery.SHOWN, limit=SAMPLE, page_size=SAMPLE)
        steps = {*self._project.spec.steps, *(name for row in latest for name in row["steps"])}
        found = rows.facts_by_status(
            self._project, gallery.SHOWN, limit=self._most + 1, steps=steps, facts=FACTS
        )
        for number, row in enumerate(found, 1):
            if number % SLICE == 0:
                self._sleep(REST_S)
            yield _slim(row)

    def _keep(self, row: Row) -> None:
        """Take the newer of two. What was uploaded before all that was read is the table's to tell."""
        if self._known is None:
            return
        known = self._known.get(row["key"])
        if known == row or (known and str(known["updated_at"]) > str(row["updated_at"])):
            return
        if str(row["uploaded_at"]) >= self._since:
            self._known[row["key"]] = row
        elif known:
            del self._known[row["key"]]
        self._order = None

    def _held(self) -> Held | None:
        with self._lock:
            if self._known is None or self._deaf or self._now() - self._heard_at > DEAF_S:
                return None
            if self._order is None:
                newest = sorted(self._known.values(), key=itemgetter("uploaded_at"), reverse=True)
                self._order = tuple(newest[: self._most])
                self._whole = self._whole and len(newest) <= self._most
            return Held(self._order, self._whole)

    def _rows(
        self, held: Held, search: gallery.Search, cursor: str | None, size: int
    ) -> Iterator[Row]:
        """Yield the rows that may be shown after `cursor`: those held, as they are now, then the table's."""
        likely = _likely(self._project.graph.prefix, held.rows, search, cursor)
        while some := list(islice(likely, size + 1)):
            yield from self._as_they_are(some, search)
        # Of all, the table has the last word: an image may come late, such as one that was there before the pipeline.
        if not (held.whole and search.chooses):
            yield from gallery.from_table(self._project, search, _end(held, cursor))

    def _missed(self, read: Iterable[Row]) -> bool:
        """Say whether the table has rows among those held that nobody told of."""
        held = self._held()
        if held is None or not held.rows or self._partial:
            return False
        newest, oldest = held.rows[0]["uploaded_at"], held.rows[-1]["uploaded_at"]
        with self._lock:
            known = self._known or {}
            return any(
                row["key"] not in known and oldest <= row["uploaded_at"] < newest for row in read
            )

    def _as_they_are(self, held: list[Row], search: gallery.Search) -> Iterator[Row]:
        now = rows.by_keys(self._project, [row["key"] for row in held])
        with self._lock:
            for row in held:
                if row["key"] in now:
                    self._keep(_slim(now[row["key"]]))
                elif self._known and self._known.pop(row["key"], None):
                    self._order = None
        for row in held:
            found = now.get(row["key"])
            if found is None or found["status"] not in search.statuses:
                continue
            # One that was uploaded again meanwhile has another place, further up.
            if found["uploaded_at"] == row["uploaded_at"]:
                yield found


def _likely(
    prefix: str, held: Iterable[Row], search: gallery.Search, cursor: str | None
) -> Iterator[Row]:
    after, shown = gallery.place(cursor)
    latest = after or (iso(search.until) if search.until else "9")
    earliest = iso(search.since) if search.since else ""
    applies = gallery.chooser(prefix, search)
    return (
        row
        for row in held
        if earliest <= row["uploaded_at"] <= latest
        and row["status"] in search.statuses
        and not (row["uploaded_at"] == after and row["key"] in shown)
        and applies(row)
    )


def _end(held: Held, cursor: str | None) -> str | None:
    """Return the later of a cursor and the end of what is held."""
    if not held.rows:
        return cursor
    oldest = held.rows[-1]["uploaded_at"]
    after, _ = gallery.place(cursor)
    if after and after < oldest:
        return cursor
    return gallery.written(oldest, {it["key"] for it in held.rows if it["uploaded_at"] == oldest})


def _slim(row: Row) -> Row:
    """Return what a search chooses by."""
    facts = row["facts"]
    noted = facts.get("exif") or {}
    kept: dict[str, Any] = {
        "palette": (facts.get("palette") or [])[: hues.FIRST],
        "tags": _shared(json.dumps(facts.get("tags") or [], default=str)),
        "exif": _shared(
            json.dumps({it: noted[it] for it in metadata.CAMERA if noted.get(it)}, default=str)
        ),
    }
    names = ("key", "status", "uploaded_at", "updated_at")
    return {**{name: row[name] for name in names}, "facts": kept}


@lru_cache(maxsize=2_000)
def _shared(text: str) -> Any:
    """Return what JSON says, the same object for all images of a camera, or with the same tags: it saves two thirds."""
    return json.loads(text)
