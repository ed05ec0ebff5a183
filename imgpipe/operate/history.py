"""The last hour, minute by minute: how many images ended, how long they took, and what each box of the picture moves.

Counts are CloudWatch's, which is a minute or two behind. No metric knows an image's time from upload to done: those
times are read off the latest rows.

Not all that moves is somebody's image: S3 sends a test event when it is told whom to notify, schedules wake functions,
alarms say that they are well. So where no image came, went or ended lately, no box moves anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.deploy.names import ALARMS, COMPLETED
from imgpipe.deploy.sketch import sketch
from imgpipe.operate import metrics, rows
from imgpipe.operate.gallery import SHOWN
from imgpipe.operate.percentiles import between
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from imgpipe.deploy.graph import Graph
    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

MINUTES = 60
MOST_ROWS = 1000
RATE_MINUTES = 3
"""A rate is the highest of these: CloudWatch may not have the latest yet."""
_PUBLISHED, _SENT, _DELETED = (
    "NumberOfMessagesPublished",
    "NumberOfMessagesSent",
    "NumberOfMessagesDeleted",
)
_INVOCATIONS = "Invocations"

Points = list[tuple[datetime, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An entry a minute from `since` on. `rates`: by box, such as `queue enhance`, messages in and out a minute; a box
    that isn't in it has no metric.
    """

    since: datetime
    ended: tuple[float, ...]
    p50_s: tuple[float | None, ...]
    p95_s: tuple[float | None, ...]
    rates: Mapping[str, tuple[float, float]]

    def as_json(self) -> dict[str, Any]:
        return {
            "since": iso(self.since),
            "ended": self.ended,
            "p50_s": self.p50_s,
            "p95_s": self.p95_s,
            "rates": self.rates,
        }


def history(project: Project, now: datetime | None = None) -> History:
    """Return the last hour. Raises CloudError when the cloud doesn't answer."""
    end = (now or datetime.now(UTC)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    since = end - timedelta(minutes=MINUTES)
    try:
        found = metrics.series(project, _wanted(project.graph), since, end)
        done = rows.by_status(project, ("done",), since=since, limit=MOST_ROWS)
        times = spans(done, since)
        lately = end - timedelta(minutes=RATE_MINUTES)
        came = list(rows.by_status(project, (*SHOWN, "removed"), since=lately, limit=1))
    except Exception as error:
        raise explain(error, "the last hour") from error
    published = found.get((project.graph.topics.get(COMPLETED, ""), _PUBLISHED), [])
    cuts = [between(some) for some in times]
    return History(
        since=since,
        ended=tuple(by_minute(published, since)),
        p50_s=tuple(round(cut[0], 2) if cut else None for cut in cuts),
        p95_s=tuple(round(cut[1], 2) if cut else None for cut in cuts),
        rates=_rates(project.graph, found, lately, came=bool(came)),
    )


def spans(found: Iterable[Row], since: datetime) -> list[list[float]]:
    """Return for each minute the seconds that the images took which ended then."""
    minutes: list[list[float]] = [[] for _ in range(MINUTES)]
    for row in found:
        life = rows.life(row)
        if life is None or made_again(row):
            continue
        began, ended = life
        at = int((ended - since).total_seconds() // 60)
        if 0 <= at < MINUTES:
            minutes[at].append((ended - began).total_seconds())
    return minutes


def made_again(row: Row) -> bool:
    """Return whether every step was done more than once: then nobody knows any more when it was first done."""
    steps = row.get("steps", {}).values()
    return bool(steps) and all(int(step.get("attempts") or 0) > 1 for step in steps)


def by_minute(points: Points, since: datetime) -> list[float]:
    """Return a sum a minute; 0 where nothing was measured."""
    sums = [0.0] * MINUTES
    for moment, value in points:
        at = int((moment - since).total_seconds() // 60)
        if 0 <= at < MINUTES:
            sums[at] += value
    return sums


def _wanted(graph: Graph) -> dict[metrics.Name, Mapping[str, Any]]:
    wanted: dict[metrics.Name, Mapping[str, Any]] = {}
    for topic in graph.topics.values():
        wanted[topic, _PUBLISHED] = metrics.stat("AWS/SNS", _PUBLISHED, "TopicName", topic, "Sum")
    for queue in graph.queues.values():
        for metric in (_SENT, _DELETED):
            wanted[queue, metric] = metrics.stat("AWS/SQS", metric, "QueueName", queue, "Sum")
    for function in filter(None, (branch.function for branch in graph.branches)):
        wanted[function, _INVOCATIONS] = metrics.stat(
            "AWS/Lambda", _INVOCATIONS, "FunctionName", function, "Sum"
        )
    return wanted


def _rates(
    graph: Graph, found: Mapping[metrics.Name, Points], since: datetime, *, came: bool
) -> dict[str, tuple[float, float]]:
    """Return what each box of the picture moves. What a queue's function does is what leaves the queue."""
    lately = {
        name: max((value for moment, value in points if moment >= since), default=0.0)
        for name, points in found.items()
    }
    if not came and not lately.get((graph.topics.get(COMPLETED, ""), _PUBLISHED)):
        lately = {}
    alarms = graph.topics.get(ALARMS, "")
    fed = {branch.function: branch.queue for branch in graph.branches if branch.queue}
    rates: dict[str, tuple[float, float]] = {}
    for key, node in sketch(graph).nodes.items():
        name = key if isinstance(key, str) else key.name
        if node.shape in {"queue", "function"} or (node.shape == "topic" and name != alarms):
            rates[f"{node.shape} {node.title}"] = _moved(node.shape, name, fed.get(name), lately)
    return rates


def _moved(
    shape: str, name: str, queue: str | None, lately: Mapping[metrics.Name, float]
) -> tuple[float, float]:
    if shape == "topic":
        published = lately.get((name, _PUBLISHED), 0.0)
        return published, published
    if shape == "queue":
        return lately.get((name, _SENT), 0.0), lately.get((name, _DELETED), 0.0)
    done = lately.get((queue, _DELETED) if queue else (name, _INVOCATIONS), 0.0)
    return done, done
