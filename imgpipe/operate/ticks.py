"""A pipeline as it goes, a tick at a time: each step's queue and calls, how many images end, and each that moved on.

What `imgpipe watch` shows, on a screen or in a pipe. Not everything is asked at every tick: the images of the last
minutes every `RATES_EVERY_S`, CloudWatch, which counts by the minute, every `METRICS_EVERY_S`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.deploy.resources import Function, Mapping, Queue
from imgpipe.operate import metrics, pulse, watch
from imgpipe.operate.live import Live
from imgpipe.operate.times import from_iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgpipe.deploy.graph import Graph
    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

RATES_EVERY_S = 5.0
METRICS_EVERY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step with its queues, or a queue that no step owns. None: there is no such thing, or it isn't known. `direct`:
    nothing queues its work, SNS or S3 calls it.

    `calls`, `errors` (messages given back among them) and `throttled` are CloudWatch's of the last 5 minutes.
    """

    name: str
    queue: str | None
    dlq: str | None
    waiting: int | None
    in_work: int | None
    dead: int | None
    direct: bool = False
    calls: int | None = None
    errors: int | None = None
    throttled: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One moment. `images` came or moved on since the last tick; the first tick has the latest ones."""

    sample: watch.Sample
    rates: pulse.Rates
    steps: tuple[Step, ...]
    images: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            **self.sample.as_json(),
            **asdict(self.rates),
            "steps": [asdict(step) for step in self.steps],
            "images": [_image(row) for row in self.images],
        }


class Watcher:
    """Remembers what was told and asked. Not for several threads at once."""

    def __init__(self, project: Project, now: Callable[[], float] = time.monotonic) -> None:
        self._project, self._now = project, now
        self._live = Live(project, now, tell_latest=True)
        self._rates: tuple[float, pulse.Rates] | None = None
        self._known: tuple[float, metrics.Known] | None = None

    def tick(self) -> Tick:
        """Return the pipeline now. Raises CloudError when the cloud doesn't answer."""
        try:
            sample = watch.sample(self._project)
            images = sorted(self._live.changes(), key=lambda row: str(row["updated_at"]))
            return Tick(
                sample=sample,
                rates=self._lately(),
                steps=tuple(steps(self._project.graph, sample, self._counted())),
                images=tuple(images),
            )
        except Exception as error:
            raise explain(error, "the pipeline") from error

    def _lately(self) -> pulse.Rates:
        if self._rates is None or self._now() - self._rates[0] >= RATES_EVERY_S:
            self._rates = (self._now(), pulse.rates(self._project))
        return self._rates[1]

    def _counted(self) -> metrics.Known:
        if self._known is None or self._now() - self._known[0] >= METRICS_EVERY_S:
            self._known = (self._now(), metrics.latest(self._project))
        return self._known[1]


def ticks(
    project: Project,
    interval_s: float,
    count: int | None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Tick]:
    """Yield a tick every `interval_s`, `count` times or for ever."""
    return watch.paced(Watcher(project, now).tick, interval_s, count, sleep, now)


def steps(graph: Graph, sample: watch.Sample, known: metrics.Known) -> Iterator[Step]:
    """Yield a line a branch, then one for each queue that no branch owns. Pure."""
    shorts = {full: short for short, full in graph.queues.items()}
    owned = set[str | None]()
    for branch in graph.branches:
        queue, dlq = shorts.get(branch.queue or ""), shorts.get(branch.dlq)
        owned |= {queue, dlq}
        yield Step(
            name=branch.name,
            queue=queue,
            dlq=dlq,
            waiting=_waiting(sample, queue),
            in_work=sample.in_flight.get(queue or ""),
            dead=sample.letters.get(dlq or ""),
            direct=branch.queue is None,
            **_calls(known, branch.function),
        )
    for short in (*sample.depths, *sample.letters):
        if short not in owned:
            yield Step(
                name=short.removesuffix("-dlq"),
                queue=short if short in sample.depths else None,
                dlq=short if short in sample.letters else None,
                waiting=_waiting(sample, short),
                in_work=sample.in_flight.get(short),
                dead=sample.letters.get(short),
            )


def _waiting(sample: watch.Sample, queue: str | None) -> int | None:
    if queue is None or queue not in sample.depths:
        return None
    return sample.depths[queue] - sample.in_flight[queue]


def _calls(known: metrics.Known, function: str | None) -> dict[str, int | None]:
    def of(*names: str) -> int | None:
        found = [known.get((function or "", name)) for name in names]
        numbers = [number for number in found if number is not None]
        return round(sum(numbers)) if numbers else None

    words = metrics.FUNCTION_WORDS
    return {
        "calls": of(words["invocations"]),
        "errors": of(words["errors"], words["failed_attempts"]),
        "throttled": of(words["throttles"]),
    }


def _image(row: Row) -> dict[str, Any]:
    kept = ("key", "status", "version_id", "uploaded_at", "updated_at")
    return {
        **{name: row.get(name) for name in kept},
        "took_ms": took_ms(row),
        "reason": row.get("reason"),
    }


def took_ms(row: Row) -> int | None:
    """Return the time from an image's upload to its end, in ms; None while it is on its way."""
    began, ended = from_iso(row["uploaded_at"]), from_iso(row["updated_at"])
    if row["status"] not in {"done", "failed", "rejected"} or not began or not ended:
        return None
    return max(round((ended - began).total_seconds() * 1000), 0)


def described(graph: Graph, name: str) -> dict[str, str]:
    """Return how a line of `steps` is set up, as text by label; what it doesn't have is left out. Pure."""
    branch = next((it for it in graph.branches if it.name == name), None)
    queues = {it.name: it for it in graph.of(Queue)}
    if branch is None:
        owned = [graph.queues.get(short) for short in (name, f"{name}-dlq")]
        return {"queue": " and ".join(full for full in owned if full)}
    function = next((it for it in graph.of(Function) if it.name == branch.function), None)
    mapping = next((it for it in graph.of(Mapping) if it.function == branch.function), None)
    told = {
        "steps": ", ".join(branch.steps),
        "function": _function(function) if function else "workers, on machines of your own",
        "queue": _queue(queues[branch.queue], mapping) if branch.queue else "none: SNS calls it",
        "dead letters": branch.dlq,
    }
    return {label: text for label, text in told.items() if text}


def _function(one: Function) -> str:
    at_once = f", {one.reserved_concurrency} at once" if one.reserved_concurrency else ""
    return f"{one.name}: {one.memory_mb:,} MB, {one.timeout_s} s, {one.architecture}{at_once}"


def _queue(one: Queue, mapping: Mapping | None) -> str:
    told = f"{one.name}: {one.max_receives} attempts, hidden for {one.visibility_s} s"
    if mapping is None:
        return told
    limit = f", {mapping.max_concurrency} at once" if mapping.max_concurrency else ""
    return f"{told}; {mapping.batch} a call{limit}"
