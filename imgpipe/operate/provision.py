"""`plan`, `up` and `down`: the pipeline's declaration against the cloud, and the way between them.

A person approves a list of actions; by the time that the lease is ours somebody else may have been at work. So the
plan is made again under the lease, and an `up` that would now delete what nobody approved is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from imgpipe import cloud
from imgpipe.deploy import lease, package
from imgpipe.deploy import plan as planning
from imgpipe.deploy.apply import Event, apply
from imgpipe.deploy.calls import Calls
from imgpipe.deploy.observe import observe
from imgpipe.deploy.plan import Action, Verb, pending
from imgpipe.deploy.providers import s3_existing
from imgpipe.deploy.providers.s3 import Buckets
from imgpipe.deploy.providers.site import Archive, Site
from imgpipe.deploy.providers.sns import Subscriptions
from imgpipe.deploy.providers.sqs import Queues
from imgpipe.deploy.resources import ExistingBucket, Function, Key, Queue, Resource, Subscription
from imgpipe.errors import ImgpipeError, MissingError
from imgpipe.operate import versions
from imgpipe.operate.project import Project, open_project

if TYPE_CHECKING:
    from imgpipe.deploy.package import Zip
    from imgpipe.deploy.wheels import Target

LEASE_ATTEMPTS = 3
BUILD_FOLDER = Path(".imgpipe") / "build"


def site_of(project: Project, *, erase_data: bool = False) -> Site:
    graph = project.graph
    return Site(
        clients=project.cloud,
        place=graph.place,
        prefix=f"{graph.pipeline}-{graph.environment}-",
        tags=graph.tags,
        erase_data=erase_data,
    )


def plan(project: Project) -> list[Action]:
    """Return what `up` would do, and what it would keep. Only reads."""
    site = site_of(project)
    there = observe(site, project.graph.resources)
    if there.foreign:
        raise _foreign(site, sorted(there.foreign))
    _refuse_missing(project, there.resources)
    return _with_letters(site, planning.plan(project.graph.resources, there.resources))


def plan_down(project: Project, *, delete_data: bool = False) -> list[Action]:
    """Return what `down` would delete, and what it would keep because it holds data. Only reads."""
    site = site_of(project, erase_data=delete_data)
    there = observe(site, project.graph.resources).resources
    kept = _others(there) if delete_data else {**dict(_data(site, there)), **_others(there)}
    return _with_letters(site, planning.plan_down(there, kept))


def up(
    project: Project, approved: Sequence[Action], *, say: Callable[[str], None] = lambda _text: None
) -> Generator[Event, None, None]:
    """Carry out what was approved and yield what happens.

    Nothing to change makes one call: it asks whether an earlier `up` ended before it noted its versions.
    """
    if not pending(approved) and not versions.owed(project):
        return
    with Builds(project, approved) as builds, ExitStack() as leased:
        site = replace(site_of(project), archive_of=builds.archive_of)
        held = yield from _take_lease(project, site, approved, say, leased)
        actions = plan(project)
        _refuse_unapproved(actions, approved)
        owed = versions.owe(project, _changed(actions))
        yield from _while_held(held, apply(site, actions, again="imgpipe up"))
        made = [function for function in project.graph.of(Function) if function.name in owed]
        if pending(actions) or made:
            versions.record(project, made, builds.archive_of, **_told(actions))
        if remark := builds.remark():
            say(remark)


def _told(actions: Sequence[Action]) -> dict[str, list[str]]:
    """Return what a plan changes, in words, and the functions that it creates."""
    doing = pending(actions)
    created = [it.key.name for it in doing if it.verb is Verb.CREATE and it.key.kind == "function"]
    return {"words": [f"{it.key}: {it.reason}" for it in doing], "created": created}


def _changed(actions: Sequence[Action]) -> set[str]:
    """Return the names of the functions that a plan creates or updates."""
    return {
        action.key.name
        for action in pending(actions)
        if isinstance(action.resource, Function) and action.verb is not Verb.DELETE
    }


def down(
    project: Project,
    approved: Sequence[Action],
    *,
    delete_data: bool = False,
    say: Callable[[str], None] = lambda _text: None,
) -> Generator[Event, None, None]:
    """Delete everything, also what an `up` made meanwhile, and yield what happens. Run again, it goes on."""
    if not pending(approved):
        return
    site = site_of(project, erase_data=delete_data)
    again = "imgpipe down --delete-data" if delete_data else "imgpipe down"
    with ExitStack() as leased:
        held = _take_lease_if_it_can_be(project, say, leased)
        actions = plan_down(project, delete_data=delete_data)
        yield from _while_held(None if delete_data else held, apply(site, actions, again=again))


def unconfirmed(project: Project) -> list[str]:
    """Return the addresses that were asked to confirm their subscription and haven't yet."""
    people = {one.topic for one in project.graph.of(Subscription) if one.protocol == "email"}
    subscriptions = Subscriptions(site_of(project))
    return sorted({address for topic in people for address in subscriptions.pending(topic)})


class Builds:
    """The zips of the functions that a plan creates or changes, built beside the first calls of `apply`."""

    def __init__(self, project: Project, actions: Sequence[Action]) -> None:
        self._project = project
        self._sources = {
            action.resource.source
            for action in pending(actions)
            if isinstance(action.resource, Function) and _needs_code(action)
        }
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="build")
        self._built: dict[str, Future[Zip]] = {}

    def __enter__(self) -> Self:
        for source in sorted(self._sources):
            self._start(source)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def archive_of(self, function: Function) -> Archive:
        """Wait for the function's zip. One that wasn't foreseen is built now."""
        return self._start(function.source).result()

    def remark(self) -> str:
        """Return what is to be told of the zips that were built; "" if nothing is."""
        ready = [each for each in self._built.values() if each.done() and not each.exception()]
        zips = [each.result() for each in ready]
        return package.slow_starts(self._target(), zips) if zips else ""

    def _start(self, source: str) -> Future[Zip]:
        if source not in self._built:
            self._built[source] = self._pool.submit(self._build, source)
        return self._built[source]

    def _build(self, source: str) -> Zip:
        folder = self._project.folder
        out = folder / BUILD_FOLDER
        return package.build([source], folder, out, target=self._target())[source]

    def _target(self) -> Target:
        if self._project.graph.environment == cloud.LOCAL:
            return "host"
        return self._project.graph.of(Function)[0].architecture


def _needs_code(action: Action) -> bool:
    wanted, there = action.resource, action.before
    if not isinstance(wanted, Function) or not isinstance(there, Function):
        return action.verb is Verb.CREATE
    return (wanted.code_hash, wanted.architecture) != (there.code_hash, there.architecture)


def _take_lease(
    project: Project,
    site: Site,
    approved: Sequence[Action],
    say: Callable[[str], None],
    leased: ExitStack,
) -> Generator[Event, None, lease.Lease]:
    """Take the lease. Its bucket is the one thing made before; a `down` may delete it while we wait."""
    bucket = project.graph.resources[Key("bucket", project.graph.ops_bucket)]
    creation = Action(verb=Verb.CREATE, resource=bucket, reason="not there")
    missing = any(one.key == bucket.key and one.verb is Verb.CREATE for one in approved)
    for _ in range(LEASE_ATTEMPTS):
        if missing:
            yield from apply(site, [creation], again="imgpipe up")
        try:
            return leased.enter_context(_lease(project, "up", say))
        except MissingError:
            missing = True
    raise ImgpipeError(
        "the lease", "its bucket is deleted again and again", hint="wait for the other's end"
    )


def _take_lease_if_it_can_be(
    project: Project, say: Callable[[str], None], leased: ExitStack
) -> lease.Lease | None:
    """Take the lease, or go without when its bucket is gone: a `down` that was interrupted late."""
    try:
        return leased.enter_context(_lease(project, "down", say))
    except MissingError:
        return None


def _lease(
    project: Project, verb: str, say: Callable[[str], None]
) -> AbstractContextManager[lease.Lease]:
    s3 = project.cloud.client("s3")
    return lease.held(s3, project.graph.ops_bucket, lease.myself(verb), say=say)


def _while_held(
    held: lease.Lease | None, events: Generator[Event, None, None]
) -> Generator[Event, None, None]:
    """Pass `events` on while the lease is ours. None: it goes with the bucket that is being deleted."""
    with closing(events):
        for event in events:
            if held and held.lost:
                raise ImgpipeError(
                    "the lease",
                    "another run has taken it over",
                    hint="wait until it has ended and run again",
                )
            yield event


def _refuse_unapproved(actions: Sequence[Action], approved: Sequence[Action]) -> None:
    known = {action.key for action in approved if action.verb is Verb.DELETE}
    new = [
        action.key for action in actions if action.verb is Verb.DELETE and action.key not in known
    ]
    if new:
        names = ", ".join(str(key) for key in new[:3])
        raise ImgpipeError(
            "the plan", f"it would now also delete {names}", hint="look at it again: imgpipe up"
        )


def _data(site: Site, there: Mapping[Key, Resource]) -> Iterator[tuple[Key, str]]:
    """Yield what holds data, with the reason to keep it. A bucket without objects holds none."""
    others = _others(there)
    for key in there:
        if key.kind == "table":
            yield key, "it holds the rows: deleted only with --delete-data"
        if key.kind == "bucket" and key not in others and not Buckets(site).is_empty(key.name):
            yield key, "it holds objects: deleted only with --delete-data"


def _others(there: Mapping[Key, Resource]) -> dict[Key, str]:
    """Return the buckets that were there before the pipeline, with the reason to keep them whatever is asked."""
    reason = "it was there before the pipeline: only its notifications to us go"
    return {key: reason for key, one in there.items() if isinstance(one, ExistingBucket)}


def _refuse_missing(project: Project, there: Mapping[Key, Resource]) -> None:
    for one in project.graph.of(ExistingBucket):
        if one.key not in there:
            raise s3_existing.missing(one.name)


def _foreign(site: Site, keys: Sequence[Key]) -> ImgpipeError:
    tags = " ".join(f"{name}={value}" for name, value in site.tags.items())
    return ImgpipeError(
        ", ".join(str(key) for key in keys[:3]),
        "it exists and isn't tagged as part of this pipeline",
        hint=f"choose another `name:` in pipeline.yaml, or tag it {tags} to hand it over",
    )


def _with_letters(site: Site, actions: list[Action]) -> list[Action]:
    """Say of each queue that is to be deleted how many messages would go with it."""
    doomed = [
        action.key.name
        for action in actions
        if action.verb is Verb.DELETE and isinstance(action.resource, Queue)
    ]
    if not doomed:
        return actions
    with ThreadPoolExecutor(len(doomed)) as pool:
        counts = dict(zip(doomed, pool.map(Queues(site).messages, doomed), strict=True))
    return [_with_count(action, counts) for action in actions]


def _with_count(action: Action, counts: Mapping[str, int]) -> Action:
    count = counts.get(action.key.name, 0) if action.key.kind == "queue" else 0
    if not count:
        return action
    told = "1 message goes" if count == 1 else f"about {count:,} messages go"
    return replace(action, warning=f"{told} with it")


def open_counted(file: Path, environment: str) -> tuple[Project, Calls]:
    """Open the project with a count of every call that is made from here on."""
    project, calls = open_project(file, environment), Calls()
    calls.watch(project.cloud.session)
    return project, calls
