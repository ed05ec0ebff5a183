"""A pipeline under a virtual clock: the same topology, with service times from measurement.

Every upload is followed through every function: events that are late, doubled and out of order; queues whose pollers
grow as Lambda's do; batches; cold starts; attempts that fail and come back later and later, at last as dead letters; an
outage. Nothing is random but by `Scenario.seed`: the same scenario gives the same outcome, to the last digit.

The clock is simpy's. A queue isn't polled: work is handed out when a message comes, an invocation ends or the pollers
grow, which is the same without the polls that find nothing.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

from imgpipe.operate.forecast import work
from imgpipe.runtime.entry import pause_s

if TYPE_CHECKING:
    from imgpipe.operate.forecast.figures import Timings
    from imgpipe.operate.forecast.scenario import Scenario
    from imgpipe.operate.forecast.topology import Topology
    from imgpipe.operate.forecast.work import Image, Load

MOST_IMAGES = 200_000
FIRST_POLLERS, POLLERS_PER_S, MOST_POLLERS = 5, 5.0, 1_250
"""Lambda's pollers of one queue: 5 invocations at once in the beginning, 300 more a minute."""
WARM_S = 300.0
"""How long an idle execution environment is kept; Lambda doesn't say, this is a cautious guess."""
LAMBDA_RETRY_S = 60
"""Lambda tries a direct invocation again after a minute, and after two more."""
SERVER_PIECES = 6
SPREAD = 0.25
"""Of the logarithm of a service time around its mean."""
SAMPLES = 240
GRACE_S = 6 * 3600.0
Process = Generator[simpy.Event, Any, None]


@dataclass(slots=True)
class Tracked:
    """One upload: when it came, what it still waits for."""

    came_s: float
    missing: set[str]
    first_picture_s: float | None = None
    done_s: float | None = None
    dead: bool = False


@dataclass(slots=True)
class Message:
    image: Tracked
    about: str  # the function that reported, for a result; the notice's kind for the notifier
    receives: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of it. Times are in seconds; `depths` has one value a sample for each queue."""

    images: int = 0
    done: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    retries: int = 0
    throttled: int = 0
    cold_starts: int = 0
    peak_concurrency: int = 0
    invocations: Counter[str] = field(default_factory=Counter)
    busy_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    to_preview_s: list[float] = field(default_factory=list)
    to_done_s: list[float] = field(default_factory=list)
    sampled_s: list[float] = field(default_factory=list)
    depths: dict[str, list[int]] = field(default_factory=dict)
    concurrency: list[int] = field(default_factory=list)
    ended_s: float = 0.0


class _Function:
    """A function, the messages that wait for it, and its execution environments."""

    def __init__(self, load: Load) -> None:
        self.load, self.worker = load, load.worker
        self.waiting: deque[Message] = deque()
        self.paused = 0
        self.running = 0
        self.idle_since: list[float] = []
        self.limit = float(FIRST_POLLERS)
        self.grown_at = 0.0

    def slots(self, now_s: float) -> float:
        """Return how many invocations may run at once; for a queue this grows while work is waiting."""
        own = self.worker.reserved_concurrency or math.inf
        if not self.worker.queue:
            return own
        cap = min(self.worker.max_concurrency or MOST_POLLERS, own)
        if self.running or self.waiting:
            self.limit = min(cap, self.limit + (now_s - self.grown_at) * POLLERS_PER_S)
        self.grown_at = now_s
        return min(cap, self.limit)

    def warm(self, now_s: float) -> bool:
        """Take an idle environment, if one is still kept."""
        self.idle_since = [since for since in self.idle_since if now_s - since < WARM_S]
        if self.idle_since:
            self.idle_since.pop()
            return True
        return False


class _Run:
    def __init__(
        self, topology: Topology, image: Image, timings: Timings, scenario: Scenario
    ) -> None:
        self.scenario, self.timings = scenario, timings
        self.env = simpy.Environment()
        self.random = random.Random(scenario.seed)  # noqa: S311 - repeatable on purpose
        self.account = simpy.Resource(self.env, scenario.concurrency)
        self.cores = simpy.Resource(self.env, scenario.cores) if scenario.cores else None
        asked = work.loads(topology, image, timings)
        self.functions = {load.worker.name: _Function(load) for load in asked}
        self.image_functions = [load.worker.name for load in asked if load.worker.role == "images"]
        self.writer = topology.writer.name if topology.writer else None
        self.notifier = topology.notifier
        self.outcome = Outcome(
            depths={name: [] for name, each in self.functions.items() if each.worker.queue}
        )
        self.open = 0

    def run(self) -> Outcome:
        arrivals = self._arrivals()
        self.env.process(self._upload(arrivals))
        self.env.process(self._sample(max(1.0, self.scenario.duration_s / SAMPLES)))
        self.env.run(until=self.scenario.duration_s + GRACE_S if self.open else None)
        return self.outcome

    def _arrivals(self) -> list[float]:
        scenario = self.scenario
        times, now = [], 0.0
        while (
            scenario.rate
            and (now := now + self.random.expovariate(scenario.rate)) < scenario.duration_s
        ):
            times.append(now)
        times += [scenario.duration_s / 2] * scenario.burst
        self.open = self.outcome.images = len(times)
        return sorted(times)

    def _upload(self, arrivals: list[float]) -> Process:
        for came_s in arrivals:
            yield self.env.timeout(came_s - self.env.now)
            if self.cores and self.timings.server_ms:
                self.env.process(self._serve(self.cores))
            image = Tracked(came_s, set(self.image_functions))
            for name in self.image_functions:
                self._announce(name, Message(image, name))
            if self.notifier and "uploaded" in self.notifier.settings.notices:
                self._announce(self.notifier.name, Message(image, "uploaded"))

    def _serve(self, cores: simpy.Resource) -> Process:
        """Take the embedded cloud's own share of the processors, in pieces: it serves many at once."""
        for _ in range(SERVER_PIECES):
            with cores.request() as core:
                yield core
                yield self.env.timeout(self.timings.server_ms / 1000 / SERVER_PIECES)

    def _announce(self, name: str, message: Message) -> None:
        """Deliver an event: late, perhaps twice."""
        again = self.random.random() < self.scenario.duplicates
        self.outcome.duplicates += int(again)
        for _ in range(1 + again):
            delay = self.timings.event_delay_ms / 1000 * self._factor(0.5)
            self.env.process(self._later(delay, name, Message(message.image, message.about)))

    def _later(self, delay_s: float, name: str, message: Message) -> Process:
        yield self.env.timeout(delay_s)
        self.functions[name].waiting.append(message)
        self._hand_out(name)

    def _again(self, pause_s: float, name: str, message: Message) -> Process:
        self.functions[name].paused += 1
        yield self.env.timeout(pause_s)
        self.functions[name].paused -= 1
        yield from self._later(0.0, name, message)

    def _hand_out(self, name: str) -> None:
        function = self.functions[name]
        while function.waiting and function.running + 1 <= function.slots(self.env.now):
            size = min(len(function.waiting), function.worker.batch if function.worker.queue else 1)
            batch = [function.waiting.popleft() for _ in range(size)]
            function.running += 1
            self.env.process(self._invocation(name, batch))

    def _invocation(self, name: str, batch: list[Message]) -> Process:
        function = self.functions[name]
        with self.account.request() as slot:
            if self.account.count >= self.account.capacity:
                self.outcome.throttled += 1
            yield slot
            running = self.account.count
            self.outcome.peak_concurrency = max(self.outcome.peak_concurrency, running)
            self.outcome.invocations[name] += 1
            started = self.env.now
            if not function.warm(self.env.now):
                self.outcome.cold_starts += 1
                yield self.env.timeout(self.timings.cold_start_ms / 1000)
            for message in batch:
                yield from self._attempt(name, message)
            self.outcome.busy_s[name] += self.env.now - started
        function.running -= 1
        function.idle_since.append(self.env.now)
        self._hand_out(name)

    def _attempt(self, name: str, message: Message) -> Process:
        load, outage = self.functions[name].load, self.scenario.outage
        message.receives += 1
        share = self._factor(SPREAD)
        busy_s, wait_s = (load.ms - load.wait_ms) * share / 1000, load.wait_ms * share / 1000
        if self.cores:
            with self.cores.request() as core:
                yield core
                yield self.env.timeout(busy_s)
        else:
            yield self.env.timeout(busy_s)
        yield self.env.timeout(wait_s)
        broken = outage is not None and outage.covers(name, self.env.now)
        if broken or self.random.random() < self.scenario.failures:
            self._failed(name, message)
        else:
            self._worked(name, message)

    def _failed(self, name: str, message: Message) -> None:
        worker = self.functions[name].worker
        if message.receives >= worker.max_receives:
            self.outcome.dead_letters[name] += 1
            self._end(message.image, dead=True)
            return
        self.outcome.retries += 1
        pause = (
            pause_s(worker.settings.backoff_s, message.receives, worker.max_receives)
            if worker.queue
            else LAMBDA_RETRY_S * message.receives
        )
        self.env.process(self._again(float(pause), name, message))

    def _worked(self, name: str, message: Message) -> None:
        image, role = message.image, self.functions[name].worker.role
        if role == "images":
            if image.first_picture_s is None:
                image.first_picture_s = self.env.now
                self.outcome.to_preview_s.append(self.env.now - image.came_s)
            if self.writer:
                self.env.process(self._later(0.0, self.writer, Message(image, name)))
        elif role == "writer":
            image.missing.discard(message.about)
            if not image.missing and image.done_s is None:
                image.done_s = self.env.now
                self.outcome.done += 1
                self.outcome.to_done_s.append(self.env.now - image.came_s)
                self._end(image)
                if self.notifier and "completed" in self.notifier.settings.notices:
                    self._announce(self.notifier.name, Message(image, "completed"))

    def _end(self, image: Tracked, *, dead: bool = False) -> None:
        if not image.dead and (image.done_s is None or not dead):
            self.open -= 1
            self.outcome.ended_s = self.env.now
        image.dead = image.dead or dead

    def _sample(self, every_s: float) -> Process:
        while self.open > 0:
            self.outcome.sampled_s.append(self.env.now)
            self.outcome.concurrency.append(self.account.count)
            for name, depths in self.outcome.depths.items():
                depths.append(len(self.functions[name].waiting) + self.functions[name].paused)
                self._hand_out(name)  # the pollers have grown
            if len(self.outcome.sampled_s) > 4 * SAMPLES:
                every_s *= 1.02  # a long tail needs no finer picture
            yield self.env.timeout(every_s)

    def _factor(self, spread: float) -> float:
        """Return a factor around 1: long ones are more usual than short ones."""
        return self.random.lognormvariate(-(spread**2) / 2, spread)


def run(topology: Topology, image: Image, timings: Timings, scenario: Scenario) -> Outcome:
    """Return what comes of `scenario` for uploads like `image`."""
    return _Run(topology, image, timings, scenario).run()
