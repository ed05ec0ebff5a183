"""How a pipeline's heart beats: what waits in each queue now, and how many images ended lately, how quickly."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.operate import rows, watch
from imgpipe.operate.history import made_again
from imgpipe.operate.percentiles import between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

WINDOW_S = 300
MOST_ROWS = 1000
"""Images that are looked at; a quicker pipeline is told from its latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How many images ended in the last minute, of those uploaded in the last five; and how long the done ones took,
    from their upload: None without any. `failed_per_min` counts the rejected as well.
    """

    done_per_min: int
    failed_per_min: int
    p50_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    sample: watch.Sample
    rates: Rates

    def as_json(self) -> dict[str, Any]:
        return {**self.sample.as_json(), **asdict(self.rates)}


def pulse(project: Project) -> Pulse:
    """Return the pulse now. Raises CloudError when the cloud doesn't answer."""
    try:
        return Pulse(sample=watch.sample(project), rates=rates(project))
    except Exception as error:
        raise explain(error, "the pipeline's pulse") from error


def rates(project: Project) -> Rates:
    """Return how many images ended lately, and how quickly."""
    now = datetime.now(UTC)
    since = now - timedelta(seconds=WINDOW_S)
    done = rows.by_status(project, ("done",), since=since, limit=MOST_ROWS)
    failed = rows.by_status(project, ("failed", "rejected"), since=since, limit=MOST_ROWS)
    recent, times = measured(done, now)
    cuts = between(times)
    return Rates(
        done_per_min=recent,
        failed_per_min=measured(failed, now)[0],
        p50_ms=round(cuts[0]) if cuts else None,
        p95_ms=round(cuts[1]) if cuts else None,
    )


def measured(found: Iterable[Row], now: datetime) -> tuple[int, list[float]]:
    """Return how many images ended in the last minute, and each one's time from upload to end in ms."""
    recent, times = 0, []
    for row in found:
        life = rows.life(row)
        if life is None:
            continue
        began, ended = life
        recent += now - ended < timedelta(minutes=1)
        if not made_again(row):
            times.append((ended - began).total_seconds() * 1000)
    return recent, times
