"""What would change a pipeline's bill most: the same pipeline with one thing different, priced again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgpipe.operate.forecast import cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.forecast.figures import Prices, Timings
    from imgpipe.operate.forecast.topology import Topology, Worker
    from imgpipe.operate.forecast.work import Image

WORTH_TELLING = 0.01
"""The least share of the bill for a million images that a change must move."""


@dataclass(frozen=True, slots=True)
class Lever:
    """`dollars` is what it adds to (or, negative, takes off) a million images."""

    change: str
    dollars: float


def of(
    topology: Topology,
    image: Image,
    *,
    fill: float = 1.0,
    prices: Prices | None = None,
    timings: Timings | None = None,
) -> list[Lever]:
    """Return what changes the bill by at least a hundredth, the biggest change first."""
    now = cost.of(topology, image, fill=fill, prices=prices, timings=timings).per_million
    made = []
    for words, other, messages in _others(topology, fill):
        then = cost.of(other, image, fill=messages, prices=prices, timings=timings).per_million
        made.append(Lever(words, then - now))
    told = [lever for lever in made if abs(lever.dollars) >= WORTH_TELLING * now]
    return sorted(told, key=lambda lever: -abs(lever.dollars))


def _others(topology: Topology, fill: float) -> Iterator[tuple[str, Topology, float]]:
    arm = all(worker.architecture == "arm64" for worker in topology.workers)
    other = "x86_64" if arm else "arm64"
    yield f"lambda: {{architecture: {other}}}", _each(topology, architecture=other), fill
    if len(topology.images) > 1:
        yield "all steps in one `group`", replace(topology, images=(_together(topology),)), fill
    for memory_mb in (1024, 3538):
        if any(worker.memory_mb != memory_mb for worker in topology.images):
            changed = tuple(replace(worker, memory_mb=memory_mb) for worker in topology.images)
            yield f"lambda: {{memory: {memory_mb}}}", replace(topology, images=changed), fill
    if "uploaded" in topology.notices and topology.notifier:
        yield "no `uploaded` notices", _without_uploaded(topology), fill
    batch = min((worker.batch for worker in topology.images if worker.queue), default=1)
    if batch > fill:
        yield f"uploads in bulk: {batch} messages an invocation", topology, batch


def _each(topology: Topology, **changes: object) -> Topology:
    def changed(worker: Worker | None) -> Worker | None:
        return replace(worker, **changes) if worker else None  # type: ignore[arg-type]

    return replace(
        topology,
        images=tuple(replace(worker, **changes) for worker in topology.images),  # type: ignore[arg-type]
        writer=changed(topology.writer),
        notifier=changed(topology.notifier),
        tidy=changed(topology.tidy),
    )


def _together(topology: Topology) -> Worker:
    first = max(topology.images, key=lambda worker: worker.memory_mb)
    steps = {name: dict(step) for worker in topology.images for name, step in worker.steps.items()}
    return replace(first, settings=replace(first.settings, steps=steps))


def _without_uploaded(topology: Topology) -> Topology:
    notifier = topology.notifier
    assert notifier is not None  # noqa: S101 - the caller looked
    kept = tuple(kind for kind in notifier.settings.notices if kind != "uploaded")
    people = {who: count for who, count in topology.people.items() if who[1] != "uploaded"}
    quiet = replace(notifier, settings=replace(notifier.settings, notices=kept))
    return replace(topology, notifier=quiet, people=people)
