"""How many images have outputs of former settings, and what making them again takes: a glance at the table for `plan`.

Up to EACH rows of each of the index's shards are read from both ends, the latest uploads and the oldest. When there
are more, the share of stale ones among them is taken of what the index counts. `reprocess --stale --dry-run` reads all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.errors import MissingError
from imgpipe.operate import rows
from imgpipe.operate.backfill.price import Estimate, Prices
from imgpipe.operate.backfill.work import ENDED, Item, Steps, stale_steps

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

EACH = 60
"""Enough to read all of some 200 images; of more, some 500. A plan must not take long."""
COUNTED_PAGES = 5
"""Pages of 1 MB a shard: some 10,000 images. Counting reads what it counts."""
RATE = 100.0
"""Images a second that a run sends unless told otherwise: uploads of the day still get their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """The images with stale outputs, among `images` in all: found by reading `looked_at` of them.

    Exact if those are all. `more`: the index holds more images than were counted.
    """

    estimate: Estimate
    seconds: float
    looked_at: int
    images: int
    more: bool = False

    @property
    def exact(self) -> bool:
        return self.looked_at == self.images and not self.more


def of(project: Project, each: int = EACH) -> Stale | None:
    """Return what is stale; None when there is no table yet. Only reads. Raises CloudError."""
    prices = Prices(project.graph, told=False)
    try:
        glances = [_glance(project, prices, status, each) for status in sorted(ENDED)]
    except MissingError:
        return None
    estimate = sum((it.estimate for it in glances), Estimate())
    return Stale(
        estimate=estimate,
        seconds=prices.seconds(estimate, RATE),
        looked_at=sum(it.looked_at for it in glances),
        images=sum(it.images for it in glances),
        more=any(it.more for it in glances),
    )


def _glance(project: Project, prices: Prices, status: str, each: int) -> Stale:
    """Look at the images of one status."""
    steps, estimate = Steps.of(project.graph), Estimate()
    read, complete = rows.ends(project, status, each)
    for row in read:
        if wanted := stale_steps(steps, row, row["key"]):
            prices.add(estimate, _item(steps, row, wanted))
    if complete or not estimate.images:
        return Stale(
            estimate=estimate,
            seconds=0,
            looked_at=len(read),
            images=len(read),
            more=not complete,
        )
    counted, all_ = rows.count(project, status, COUNTED_PAGES)
    total = max(counted, len(read))
    scaled = estimate.scaled(total / len(read))
    return Stale(estimate=scaled, seconds=0, looked_at=len(read), images=total, more=not all_)


def _item(steps: Steps, row: rows.Row, wanted: tuple[str, ...]) -> Item:
    return Item(
        key=row["key"],
        version_id=row["version_id"],
        etag=row["etag"],
        size=row["size"],
        at=row["uploaded_at"],
        sequencer=row["sequencer"],
        steps={step: steps.hashes[step] for step in wanted},
    )
