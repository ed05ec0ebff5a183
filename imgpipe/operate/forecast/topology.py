"""Who does what in a pipeline, read off its resources: the declared ones or those that are up.

A function's own settings say what it does (`IMGPIPE_SETTINGS`), its mappings and subscriptions say what it hears of.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from imgpipe.deploy import resources as r
from imgpipe.runtime.settings import SETTINGS_VARIABLE, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Role = Literal["images", "writer", "notifier", "tidy"]
R = TypeVar("R", bound=r.Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A function and how work reaches it. `queue` is None where it is invoked directly."""

    name: str
    role: Role
    settings: Settings
    memory_mb: int
    timeout_s: int
    architecture: Literal["x86_64", "arm64"]
    queue: str | None = None
    batch: int = 1
    max_concurrency: int | None = None
    reserved_concurrency: int | None = None
    max_receives: int = 3

    @property
    def steps(self) -> Mapping[str, Mapping[str, Any]]:
        return self.settings.steps

    @property
    def variants(self) -> list[Mapping[str, Any]]:
        return [
            variant or {}
            for step in self.steps.values()
            for variant in (step.get("variants") or {}).values()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A pipeline as work flows through it. `people` counts subscriptions by protocol and kind of notice."""

    images: tuple[Worker, ...]
    writer: Worker | None
    notifier: Worker | None
    tidy: Worker | None
    people: Mapping[tuple[str, str], int]
    through_topic: bool
    alarms: int
    dashboards: int
    queues_polled: int
    indexes: int
    recovery: bool

    @property
    def workers(self) -> tuple[Worker, ...]:
        house = (self.writer, self.notifier, self.tidy)
        return (*self.images, *(each for each in house if each))

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Return the steps that every image goes through but that no function runs: workers do."""
        expected = self.writer.settings.expected if self.writer else ()
        here = {name for worker in self.images for name in worker.steps}
        return tuple(name for name in expected if name not in here)

    @property
    def notices(self) -> tuple[str, ...]:
        return self.notifier.settings.notices if self.notifier else ()


def of(resources: Iterable[r.Resource]) -> Topology:
    """Return the topology that `resources` make."""
    known = list(resources)
    workers = [_worker(function, known) for function in _of(known, r.Function)]
    role = {each.role: each for each in workers}
    tables = _of(known, r.Table)
    return Topology(
        images=tuple(each for each in workers if each.role == "images"),
        writer=role.get("writer"),
        notifier=role.get("notifier"),
        tidy=role.get("tidy"),
        people=_people(known, role.get("notifier")),
        through_topic=any(
            rule.target.kind == "topic"
            for each in _of(known, r.Notification)
            for rule in each.rules
        ),
        alarms=len(_of(known, r.Alarm)),
        dashboards=sum(each.key.kind == "dashboard" for each in known),
        queues_polled=len(_of(known, r.Mapping)),
        indexes=sum(len(table.indexes) for table in tables),
        recovery=any(table.recovery for table in tables),
    )


def _of(known: Iterable[r.Resource], kind: type[R]) -> list[R]:
    return [each for each in known if isinstance(each, kind)]


def _worker(function: r.Function, known: list[r.Resource]) -> Worker:
    settings = Settings.loads(dict(function.environment)[SETTINGS_VARIABLE])
    fed = next((each for each in _of(known, r.Mapping) if each.function == function.name), None)
    queues = {each.name: each for each in _of(known, r.Queue)}
    return Worker(
        name=settings.function,
        role=_role(settings),
        settings=settings,
        memory_mb=function.memory_mb,
        timeout_s=function.timeout_s,
        architecture=function.architecture,
        queue=fed.queue if fed else None,
        batch=fed.batch if fed else 1,
        max_concurrency=fed.max_concurrency if fed else None,
        reserved_concurrency=function.reserved_concurrency,
        max_receives=queues[fed.queue].max_receives if fed and fed.queue in queues else 3,
    )


def _role(settings: Settings) -> Role:
    if settings.steps:
        return "images"
    if settings.notices_topic_arn:
        return "notifier"
    return "writer" if settings.table else "tidy"


def _people(known: list[r.Resource], notifier: Worker | None) -> Mapping[tuple[str, str], int]:
    """Count who hears what. A filter policy names the kinds; without one, all that are sent."""
    heard: Counter[tuple[str, str]] = Counter()
    if not notifier:
        return heard
    topic = notifier.settings.notices_topic_arn.rpartition(":")[2]
    for each in _of(known, r.Subscription):
        if each.topic == topic and each.protocol in {"email", "sms", "application"}:
            for kind in notifier.settings.notices:
                if not each.filter_policy or f'"{kind}"' in each.filter_policy:
                    heard[each.protocol, kind] += 1
    return heard
