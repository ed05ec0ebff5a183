"""What a plan does to the bill: the pipeline that is there and the one that would be, priced alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.deploy.plan import Verb
from imgpipe.operate.forecast import cost, figures, topology, work

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgpipe.deploy.plan import Action
    from imgpipe.deploy.resources import Resource

TYPICAL_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """US dollars before and after, for a million images of 5 MB and for a month without any."""

    per_million: tuple[float, float]
    fixed_month: tuple[float, float]


def of(actions: Sequence[Action]) -> Change | None:
    """Return what `actions` do to the bill; None if nothing would change."""
    if not any(action.changes for action in actions):
        return None
    there = [
        action.before or action.resource for action in actions if action.verb is not Verb.CREATE
    ]
    wanted = [action.resource for action in actions if action.verb is not Verb.DELETE]
    before, after = _bill(there), _bill(wanted)
    return Change((before[0], after[0]), (before[1], after[1]))


def _bill(resources: Iterable[Resource]) -> tuple[float, float]:
    found = topology.of(resources)
    bill = cost.of(found, work.photograph(TYPICAL_BYTES, figures.timings()))
    return (bill.per_million if found.images else 0.0), bill.fixed_month
