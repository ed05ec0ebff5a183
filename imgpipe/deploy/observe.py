"""What is there now: every resource that is declared, and what is ours but no longer declared.

Everything is read live and in parallel; there is no state file. Ours is what carries our tags (asked of the tagging
API, which lags and also lists what was just deleted, so each find is read before it is believed), roles by their path,
and what hangs on any of these: permissions, mappings, subscriptions; and our notification entries in a bucket that the
functions still take uploads from. Left out: those of buckets that no function knows any more, because nothing marks
such a bucket.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from imgpipe import cloud
from imgpipe.deploy.names import rule_prefix
from imgpipe.deploy.providers import anchor, provider
from imgpipe.deploy.providers.iam import Roles
from imgpipe.deploy.providers.ownership import ASKED, is_ours
from imgpipe.deploy.providers.site import Site, last
from imgpipe.deploy.resources import Function, Key, Kind, Notification, Resource
from imgpipe.runtime.settings import SETTINGS_VARIABLE

T = TypeVar("T")

READERS = 16

_HANGS_ON: dict[Kind, tuple[Kind, ...]] = {
    "function": ("permission", "mapping", "async_invoke", "function_url"),
    "topic": ("subscription",),
}
"""What is read by the name of its function or topic, whether any is declared or not."""

_TAGGED: dict[str, Kind] = {
    "s3": "bucket",
    "sns": "topic",
    "sqs": "queue",
    "dynamodb": "table",
    "lambda": "function",
}
"""By an ARN's service. Log groups, alarms and roles are found by name instead (see their providers)."""


class Spot(NamedTuple):
    """Where a read looks: all that one kind's provider yields for one anchor."""

    kind: Kind
    anchor: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What there is: `resources` of ours, and the keys of `foreign` ones that stand where ours should."""

    resources: dict[Key, Resource]
    foreign: frozenset[Key] = frozenset()


def observe(site: Site, declared: Mapping[Key, Resource]) -> Observed:
    """Return everything of the pipeline that exists: what is `declared`, and leftovers. Only reads."""
    spots = set(_spots(site, declared))
    _make_clients(site, spots)
    with ThreadPoolExecutor(READERS, thread_name_prefix="observe") as pool:
        tagged = pool.submit(_explained, "what is tagged", lambda: set(_tagged(site)))
        roles = pool.submit(_explained, "roles", lambda: set(Roles(site).strays(declared)))
        there = _read(pool, site, spots, declared)
        strays = (tagged.result() | roles.result()) - declared.keys()
        there |= _read(pool, site, set(_around(strays)) - spots, declared)
        former = _former(site, there, declared)
        there |= _read(pool, site, {Spot(key.kind, key.name) for key in former}, former)
        doubtful = sorted(key for key in there.keys() - tagged.result() if key.kind in ASKED)
        ours = list(
            pool.map(lambda key: _explained(str(key), lambda: is_ours(site, key)), doubtful)
        )
    foreign = {key for key, mine in zip(doubtful, ours, strict=True) if not mine}
    return Observed(_without(there, foreign), frozenset(foreign))


def _former(
    site: Site, there: Mapping[Key, Resource], declared: Mapping[Key, Resource]
) -> dict[Key, Resource]:
    """Return, for each bucket that a function of ours takes uploads from and that isn't declared so any more, our
    entries in its notification document: they would tell topics and queues that no longer listen to it.
    """
    settings = [
        json.loads(dict(one.environment).get(SETTINGS_VARIABLE, "{}"))
        for one in there.values()
        if isinstance(one, Function)
    ]
    known = {one.bucket for one in declared.values() if isinstance(one, Notification)}
    names = {told.get("uploads_bucket", "") for told in settings} - known - {""}
    made = [
        Notification(bucket=name, id_prefix=rule_prefix(site.prefix), rules=()) for name in names
    ]
    return {one.key: one for one in made} if known else {}


def _without(there: Mapping[Key, Resource], foreign: Collection[Key]) -> dict[Key, Resource]:
    """Leave out what is foreign, and what hangs on it."""
    return {
        key: resource
        for key, resource in there.items()
        if key not in foreign and not set(resource.needs) & set(foreign)
    }


def _read(
    pool: ThreadPoolExecutor, site: Site, spots: Iterable[Spot], declared: Mapping[Key, Resource]
) -> dict[Key, Resource]:
    by_spot: dict[Spot, dict[Key, Resource]] = defaultdict(dict)
    for resource in declared.values():
        by_spot[Spot(resource.key.kind, anchor(site, resource))][resource.key] = resource

    def read(spot: Spot) -> list[Resource]:
        return _explained(
            f"{spot.kind} {spot.anchor}",
            lambda: list(provider(site, spot.kind).read(spot.anchor, by_spot.get(spot, {}))),
        )

    reads: list[Future[list[Resource]]] = [pool.submit(read, spot) for spot in sorted(spots)]
    return {resource.key: resource for done in reads for resource in done.result()}


def _spots(site: Site, declared: Mapping[Key, Resource]) -> Iterator[Spot]:
    for resource in declared.values():
        yield Spot(resource.key.kind, anchor(site, resource))
    yield from _around(declared)
    yield Spot("alarm", site.prefix)
    yield Spot("dashboard", f"{site.prefix}{site.place.region}")
    yield Spot("event_rule", site.prefix)
    yield Spot("log_group", f"/aws/lambda/{site.prefix}")


def _around(keys: Iterable[Key]) -> Iterator[Spot]:
    """Yield where to look for each of `keys` and for what hangs on it."""
    for key in keys:
        for kind in _HANGS_ON.get(key.kind, ()):
            yield Spot(kind, key.name)
        if key.kind in _TAGGED.values() or key.kind == "role":
            yield Spot(key.kind, key.name)


def _tagged(site: Site) -> Iterator[Key]:
    filters = [{"Key": key, "Values": [value]} for key, value in site.tags.items()]
    pages = site.client("resourcegroupstaggingapi").get_paginator("get_resources")
    for page in pages.paginate(TagFilters=filters, ResourcesPerPage=100):
        for found in page["ResourceTagMappingList"]:
            arn: str = found["ResourceARN"]
            kind = _TAGGED.get(arn.split(":")[2])
            if kind and _is_top_level(arn):
                yield Key(kind, last(arn))


def _is_top_level(arn: str) -> bool:
    """Tell a function from an event source mapping, and a table from its backup."""
    resource = arn.split(":", 5)[5]
    return "event-source-mapping" not in resource and resource.count("/") <= 1


def _make_clients(site: Site, spots: Iterable[Spot]) -> None:
    """Make each client once, here: sixteen threads asking for the first S3 client would wait for one another."""
    for kind in {spot.kind for spot in spots}:
        provider(site, kind)


def _explained(what: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except Exception as error:
        raise cloud.explain(error, f"reading {what}") from error
