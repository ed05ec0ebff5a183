"""How many images have outputs of former settings, and what making them again takes: a glance at the table for `plan`.

Reads at most CAP rows, the latest uploads first; `reprocess --stale --dry-run` reads them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from imgpipe.errors import MissingError
from imgpipe.operate import rows
from imgpipe.operate.backfill.price import Estimate, Prices
from imgpipe.operate.backfill.work import ENDED, Item, Steps, stale_steps

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

CAP = 2000
RATE = 100.0
"""Images a second that a run sends unless told otherwise: uploads of the day still get their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """Of `looked_at` images, those with stale outputs. `capped`: there are more that weren't looked at."""

    estimate: Estimate
    seconds: float
    looked_at: int
    capped: bool


def of(project: Project, cap: int = CAP) -> Stale | None:
    """Return what is stale; None when there is no table yet. Only reads. Raises CloudError."""
    steps, prices = Steps.of(project.graph), Prices(project.graph, told=False)
    estimate, looked_at = Estimate(), 0
    found = rows.by_status(project, sorted(ENDED), limit=cap + 1)
    try:
        for row in islice(found, cap):
            looked_at += 1
            if wanted := stale_steps(steps, row, row["key"]):
                prices.add(estimate, _item(steps, row, wanted))
        capped = next(found, None) is not None
    except MissingError:
        return None
    return Stale(
        estimate=estimate,
        seconds=prices.seconds(estimate, RATE),
        looked_at=looked_at,
        capped=capped,
    )


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
