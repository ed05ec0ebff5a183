"""One provider for each kind of resource: the only modules of `deploy` that call AWS.

A provider reads back the very type that it creates. Its four verbs are safe to repeat: creating what exists adopts
it, deleting what is gone succeeds, and an answer that was lost is made up for by doing it again.
Reading goes by *anchor*, the name that a call can be asked about: a queue's own name, the function whose permissions
are listed, the beginning of all alarms' names. So one call serves many resources, and what is no longer declared is
found on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from imgpipe.deploy.providers import (
    cloudwatch,
    dynamodb,
    events,
    iam,
    lambda_function,
    lambda_triggers,
    lambda_url,
    logs,
    s3,
    s3_notification,
    sns,
    sqs,
)
from imgpipe.deploy.providers.site import Site
from imgpipe.deploy.resources import Key, Kind, Resource

R = TypeVar("R", bound=Resource)


class Provider(Protocol[R]):
    """Reads, makes, changes and removes resources of one kind.

    `read` yields what is at `anchor` and ours; `declared` holds what the pipeline wants there, for the details that
    AWS spells otherwise or doesn't keep.
    """

    def read(self, anchor: str, declared: Mapping[Key, R], /) -> Iterable[R]: ...

    def create(self, wanted: R, /) -> None: ...

    def update(self, wanted: R, before: R, /) -> None: ...

    def delete(self, before: R, /) -> None: ...


def provider(site: Site, kind: Kind) -> Provider[Any]:  # noqa: C901, PLR0912 - one case a kind
    """Return the provider of `kind`. mypy names this line when a kind is added without one."""
    made: Provider[Any]
    match kind:
        case "bucket":
            made = s3.Buckets(site)
        case "notification":
            made = s3_notification.Notifications(site)
        case "topic":
            made = sns.Topics(site)
        case "subscription":
            made = sns.Subscriptions(site)
        case "event_rule":
            made = events.EventRules(site)
        case "queue":
            made = sqs.Queues(site)
        case "table":
            made = dynamodb.Tables(site)
        case "log_group":
            made = logs.LogGroups(site)
        case "role":
            made = iam.Roles(site)
        case "function":
            made = lambda_function.Functions(site)
        case "async_invoke":
            made = lambda_triggers.AsyncInvokes(site)
        case "permission":
            made = lambda_triggers.Permissions(site)
        case "function_url":
            made = lambda_url.Urls(site)
        case "mapping":
            made = lambda_triggers.Mappings(site)
        case "alarm":
            made = cloudwatch.Alarms(site)
        case "dashboard":
            made = cloudwatch.Dashboards(site)
    return made


def anchor(site: Site, resource: Resource) -> str:
    """Return the name that `resource` is read by."""
    match resource.key.kind:
        case "alarm" | "event_rule":
            return site.prefix
        case "log_group":
            return f"/aws/lambda/{site.prefix}"
        case "subscription":
            return resource.key.name.partition("->")[0]
        case "mapping":
            return resource.key.name.partition("->")[2]
        case "permission":
            return resource.key.name.partition("/")[0]
        case _:
            return resource.key.name


def read_one(site: Site, wanted: Resource) -> Resource | None:
    """Return `wanted` as it is now, or None if it isn't there."""
    there = provider(site, wanted.key.kind).read(anchor(site, wanted), {wanted.key: wanted})
    return next((one for one in there if one.key == wanted.key), None)
