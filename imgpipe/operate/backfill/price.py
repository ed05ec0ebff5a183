"""What working on uploads again costs on AWS, and how long it takes: the forecast's figures for just these steps.

One attempt an image, priced at its size rounded up; no retries, no storage. A budget is kept in these dollars.
"""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from imgpipe.cloud import LOCAL
from imgpipe.operate.forecast import cost, figures, topology, work

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Graph
    from imgpipe.operate.backfill.work import Item
    from imgpipe.operate.forecast.topology import Topology, Worker

NANO = 1_000_000_000
ACCOUNT_CONCURRENCY = 1000
"""What Lambda runs at once in an account unless it was asked for more."""
_UPLOADING = "S3: storing the upload"
_CLASSES_A_DOUBLING = 4
_LEAST_BYTES = 1024


@dataclass(slots=True)
class Estimate:
    """What some items ask for, added up."""

    images: int = 0
    bytes: int = 0
    nanodollars: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    busy_ms: defaultdict[str, float] = field(
        default_factory=lambda: defaultdict(float)
    )  # by function

    @property
    def dollars(self) -> float:
        return self.nanodollars / NANO

    @property
    def busy_s(self) -> float:
        return sum(self.busy_ms.values()) / 1000

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate of so many times the work."""
        return Estimate(
            images=round(self.images * factor),
            bytes=round(self.bytes * factor),
            nanodollars=math.ceil(self.nanodollars * factor),
            steps=Counter({name: round(count * factor) for name, count in self.steps.items()}),
            busy_ms=defaultdict(float, {name: ms * factor for name, ms in self.busy_ms.items()}),
        )

    def __add__(self, other: Estimate) -> Estimate:
        names = self.busy_ms.keys() | other.busy_ms.keys()
        return Estimate(
            images=self.images + other.images,
            bytes=self.bytes + other.bytes,
            nanodollars=self.nanodollars + other.nanodollars,
            steps=self.steps + other.steps,
            busy_ms=defaultdict(
                float, {name: self.busy_ms[name] + other.busy_ms[name] for name in names}
            ),
        )


@dataclass(frozen=True)
class Prices:
    """Prices of the work of a pipeline's branches. `told`: people are told when an image is done for the first time."""

    graph: Graph
    told: bool

    @cached_property
    def _known(self) -> dict[tuple[tuple[str, ...], int], tuple[int, Mapping[str, float]]]:
        return {}

    @cached_property
    def _topology(self) -> Topology:
        return topology.of(self.graph.resources.values())

    def add(self, estimate: Estimate, item: Item) -> Item:
        """Return the item with its price, which `estimate` has now too."""
        nanodollars, busy = self._of(tuple(sorted(item.steps)), item.size)
        estimate.images += 1
        estimate.bytes += item.size
        estimate.nanodollars += nanodollars
        estimate.steps.update(item.steps.keys())
        for name, ms in busy.items():
            estimate.busy_ms[name] += ms
        return replace(item, nanodollars=nanodollars)

    def seconds(self, estimate: Estimate, rate: float) -> float:
        """Return about how long the work takes from the first event to the last row."""
        sending = estimate.images / rate if rate else 0.0
        if self.graph.environment == LOCAL:
            return max(sending, estimate.busy_s / (os.cpu_count() or 1))
        slowest = [
            estimate.busy_ms[worker.name] / 1000 / _at_once(worker)
            for worker in self._topology.workers
        ]
        return max([sending, *slowest])

    def _of(self, steps: tuple[str, ...], size: int) -> tuple[int, Mapping[str, float]]:
        known = (steps, size_class(size))
        if known not in self._known:
            self._known[known] = self._work_out(steps, known[1])
        return self._known[known]

    def _work_out(self, steps: tuple[str, ...], size: int) -> tuple[int, Mapping[str, float]]:
        whole = self._topology
        timings = figures.timings()
        if self.graph.environment == LOCAL:
            timings = figures.embedded(timings)
        part = replace(
            whole,
            images=tuple(it for it in whole.images if set(it.steps) & set(steps)),
            notifier=whole.notifier if self.told else None,
            people=whole.people if self.told else {},
            through_topic=False,
        )
        image = work.photograph(size, timings)
        bill = cost.of(part, image, timings=timings)
        dollars = sum(each.dollars for each in bill.per_image if each.name != _UPLOADING)
        loads = work.loads(part, image, timings)
        return math.ceil(dollars * NANO), {
            load.worker.name: load.ms * load.messages for load in loads
        }


def size_class(size: int) -> int:
    """Return `size` rounded up to one of four steps a doubling, so that few sizes are worked out."""
    steps = math.ceil(math.log2(max(size, _LEAST_BYTES)) * _CLASSES_A_DOUBLING)
    return math.ceil(2 ** (steps / _CLASSES_A_DOUBLING))


def _at_once(worker: Worker) -> int:
    return worker.max_concurrency or worker.reserved_concurrency or ACCOUNT_CONCURRENCY
