"""The depth of every queue over time, a sample at a time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from imgpipe.cloud import explain
from imgpipe.operate.dlq.queues import homes
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from imgpipe.operate.project import Project

Taken = TypeVar("Taken")


@dataclass(frozen=True, slots=True)
class Sample:
    """What each queue held at one moment: messages that wait or are in work; and the dead letters, together and by
    their queue.
    """

    at: datetime
    depths: Mapping[str, int]
    in_flight: Mapping[str, int]
    dead: int
    letters: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "at": iso(self.at),
            "queues": {
                name: {"depth": depth, "in_flight": self.in_flight[name]}
                for name, depth in self.depths.items()
            },
            "dead_letters": self.dead,
        }


def samples(
    project: Project,
    interval_s: float,
    count: int | None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Sample]:
    """Yield a sample every `interval_s`, `count` times or for ever."""
    return paced(lambda: sample(project), interval_s, count, sleep, now)


def paced(
    take: Callable[[], Taken],
    interval_s: float,
    count: int | None,
    sleep: Callable[[float], None],
    now: Callable[[], float],
) -> Iterator[Taken]:
    """Yield what `take` returns, every `interval_s`, `count` times or for ever. Late ones don't pile up."""
    due, taken = now(), 0
    while count is None or taken < count:
        yield take()
        taken += 1
        if taken != count:
            moment = now()
            due = max(due + interval_s, moment)
            sleep(due - moment)


def sample(project: Project) -> Sample:
    """Return what the queues hold now."""
    dead = {home.url for home in homes(project.graph)}
    urls = {
        short: project.graph.place.queue_url(full) for short, full in project.graph.queues.items()
    }
    with ThreadPoolExecutor(len(urls), "imgpipe") as pool:
        depths = pool.map(lambda url: _depth(project, url), urls.values())
        answers = dict(zip(urls, depths, strict=True))
    letters = {name: answers[name][0] for name, url in urls.items() if url in dead}
    work = {name: answers[name] for name, url in urls.items() if url not in dead}
    return Sample(
        at=datetime.now(UTC),
        depths={name: visible + in_flight for name, (visible, in_flight) in work.items()},
        in_flight={name: in_flight for name, (_, in_flight) in work.items()},
        dead=sum(letters.values()),
        letters=letters,
    )


def _depth(project: Project, url: str) -> tuple[int, int]:
    sqs = project.cloud.client("sqs")
    waiting = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed")
    hidden = "ApproximateNumberOfMessagesNotVisible"
    try:
        numbers = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[*waiting, hidden])[
            "Attributes"
        ]
    except sqs.exceptions.ClientError as error:
        raise explain(error, f"queue {url.rsplit('/', 1)[-1]}") from error
    return sum(int(numbers.get(name, 0)) for name in waiting), int(numbers[hidden])
