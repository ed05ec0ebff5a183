"""The uploads bucket beside the table, in the order of keys -> the work of a run, within its budget.

Memory holds one batch of keys, and a part of the manifest of each run of the last two weeks: those are in the same
order, so what was sent before is found by walking along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from imgpipe.errors import MissingError
from imgpipe.operate import images, rows
from imgpipe.operate.audit import walk
from imgpipe.operate.backfill import manifest
from imgpipe.operate.backfill.price import Estimate, Prices
from imgpipe.operate.backfill.work import Item, Steps, Task, item_of, judge

if TYPE_CHECKING:
    from imgpipe.operate.audit.law import Upload
    from imgpipe.operate.backfill.manifest import Run
    from imgpipe.operate.project import Project

REMEMBERED = timedelta(days=14)
"""How long an earlier run counts: as long as the longest queue keeps its messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for. `budget` is in nanodollars; `again`: also what an earlier run has sent."""

    task: Task
    below: str = ""
    images: int | None = None
    budget: int | None = None
    grace: timedelta = timedelta(minutes=15)
    again: bool = False


@dataclass(slots=True)
class Choice:
    """What a walk has met. `within` is what the budget allows of `found`; once it is `full`, the rest is
    counted only.
    """

    prefix: str
    found: Estimate = field(default_factory=Estimate)
    within: Estimate = field(default_factory=Estimate)
    others: Counter[str] = field(default_factory=Counter)  # by verdict, and `sent_before`
    full: bool = False
    whole: bool = False  # counted to the end

    @property
    def beyond(self) -> int:
        """How many images the budget leaves out, as far as they were counted."""
        return self.found.images - self.within.images


def walk_along(
    project: Project, asked: Asked, choice: Choice, prices: Prices, *, whole: bool
) -> Iterator[Item]:
    """Yield the work that the budget allows, and keep `choice` up to date. `whole`: count on beyond the budget."""
    choice.whole = whole
    steps = Steps.of(project.graph)
    if asked.task.step:
        steps.check(asked.task.step)
    earlier = Earlier(project, steps) if _minds_earlier(asked) else None
    for item in _items(project, asked, choice, steps):
        if earlier and earlier.has(item):
            choice.others["sent_before"] += 1
            continue
        priced = prices.add(choice.found, item)
        choice.full = choice.full or not _fits(asked, choice.within, priced)
        if choice.full and not whole:
            return
        if not choice.full:
            prices.add(choice.within, item)
            yield priced


def _minds_earlier(asked: Asked) -> bool:
    """Who names images or a step, rather than what is stale or lacks a row, wants just those, whatever was before."""
    return not asked.again and (asked.task.command == "backfill" or asked.task.stale)


def _fits(asked: Asked, within: Estimate, item: Item) -> bool:
    if asked.images is not None and within.images >= asked.images:
        return False
    return asked.budget is None or within.nanodollars + item.nanodollars <= asked.budget


def _items(project: Project, asked: Asked, choice: Choice, steps: Steps) -> Iterator[Item]:
    now = datetime.now(UTC)
    born = rows.began(project) if asked.task.command == "backfill" else now
    for batch in walk.batches(_below(project, choice.prefix)):
        known = rows.by_keys(project, [upload.key for upload in batch], consistent=True)
        for upload in batch:
            row = known.get(upload.key)
            young = born <= upload.latest.at and now - upload.latest.at < asked.grace
            verdict, wanted = judge(asked.task, steps, upload, row, young=young)
            if verdict == "due":
                yield item_of(steps, upload, row, wanted)
            else:
                choice.others[verdict] += 1


def _below(project: Project, prefix: str) -> Iterator[Upload]:
    """Yield the uploads below `prefix`; that one alone which is called just so, which S3 lists first."""
    for upload in walk.uploads(project, prefix, ""):
        yield upload
        if upload.key == prefix:
            return


def begin(project: Project, asked: Asked) -> Choice:
    return Choice(prefix=images.listing_prefix(project.graph.prefix, asked.below))


class Earlier:
    """What runs of the last two weeks have sent, asked about in the order of keys."""

    def __init__(self, project: Project, steps: Steps) -> None:
        self._steps = steps
        self._streams = [(_sent(project, run), run) for run in remembered(project) if run.sent]
        self._heads = [next(stream, None) for stream, _ in self._streams]

    def has(self, item: Item) -> bool:
        """Say whether some run sent this version to each of these steps, with the settings and code of now."""
        wanted = item.key.encode()
        for place, (stream, _) in enumerate(self._streams):
            head = self._heads[place]
            while head is not None and head.key.encode() < wanted:
                head = next(stream, None)
            self._heads[place] = head
        return any(
            head is not None and self._covers(head, run, item)
            for head, (_, run) in zip(self._heads, self._streams, strict=True)
        )

    def _covers(self, before: Item, run: Run, item: Item) -> bool:
        same = (before.key, before.version_id, before.etag) == (
            item.key,
            item.version_id,
            item.etag,
        )
        return same and all(
            before.steps.get(step) == wanted and run.code.get(step) == self._steps.code[step]
            for step, wanted in item.steps.items()
        )


def remembered(project: Project) -> Iterator[Run]:
    """Yield the runs of the last two weeks, the oldest first."""
    since = datetime.now(UTC) - REMEMBERED
    for run_id in manifest.ids(project):
        if (manifest.began(run_id) or since) >= since:
            yield manifest.load(project, run_id)


def unfinished(project: Project) -> list[Run]:
    """Return the remembered runs that haven't ended: interrupted ones, or being sent just now."""
    return [run for run in remembered(project) if not run.ended]


def _sent(project: Project, run: Run) -> Iterator[Item]:
    """Yield what a run has sent; what somebody deleted of its manifest is forgotten."""
    try:
        yield from islice(manifest.items(project, run), run.sent)
    except MissingError:
        return
