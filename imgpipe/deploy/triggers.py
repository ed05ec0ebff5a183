"""What S3 tells of, and the way it takes to a branch: `uploads.deliver` decides for the whole bucket.

    topic         S3 -> a topic for each occasion -> every branch that subscribes to it
    queue         S3 -> the branch's queue
    function      S3 -> the branch's function; what isn't told by a function goes straight to a queue
    eventbridge   S3 -> the account's event bus -> a rule for each branch -> its queue or function

S3 sends an event to one place only, so that without a topic or a bus in between no two branches can have the same
upload; `limits` proves that. One setting for all is also what keeps a bucket to one channel: sequencers of S3's own
notifications and of EventBridge don't compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

from imgpipe.deploy import resources as r
from imgpipe.deploy.names import CREATED_TOPIC, REMOVED_TOPIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgpipe.deploy.model import On, Spec
    from imgpipe.deploy.names import Names
    from imgpipe.deploy.steps import Group

S3, EVENTBRIDGE = "s3.amazonaws.com", "events.amazonaws.com"
Scope = Literal["attributes", "body"]


class Occasion(NamedTuple):
    """What S3 and EventBridge call the events of one kind, and the topic that tells of them."""

    topic: str
    events: tuple[str, ...]
    detail_types: tuple[str, ...]


OCCASIONS: Mapping[On, Occasion] = {
    "created": Occasion(CREATED_TOPIC, ("s3:ObjectCreated:*",), ("Object Created",)),
    "removed": Occasion(
        REMOVED_TOPIC, ("s3:LifecycleExpiration:*", "s3:ObjectRemoved:*"), ("Object Deleted",)
    ),
    "restored": Occasion(
        "restored", ("s3:ObjectRestore:Completed",), ("Object Restore Completed",)
    ),
    "tagged": Occasion(
        "tagged", ("s3:ObjectTagging:*",), ("Object Tags Added", "Object Tags Deleted")
    ),
}
"""Expiry by a lifecycle rule is not among S3's ObjectRemoved events; for EventBridge it is a deletion."""

_WAYS: Mapping[str, tuple[str, str]] = {
    "put": ("Put", "PutObject"),
    "post": ("Post", "POST Object"),
    "copy": ("Copy", "CopyObject"),
    "multipart": ("CompleteMultipartUpload", "CompleteMultipartUpload"),
}
"""How an object can come to be: S3's word for it in an event's name, and EventBridge's `reason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A service that may send to a branch's queue or invoke its function, for one source."""

    id: str
    principal: str
    arn: str
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a branch wants to hear of: events of one kind, about some of the bucket's keys."""

    name: str
    on: On
    prefix: str
    suffixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """How events reach a branch. `topics`: short name, filter policy and its scope."""

    topics: tuple[tuple[str, str, Scope], ...] = ()
    senders: tuple[Sender, ...] = ()
    pattern: str = ""  # of the branch's own EventBridge rule


NOTHING = Feed()


def occasions(groups: Sequence[Group]) -> list[On]:
    """Return what the pipeline wants to hear of, uploads first."""
    asked = {group.on for group in groups}
    return [on for on in OCCASIONS if on in asked]


def wanted(group: Group) -> Wanted:
    return Wanted(name=group.name, on=group.on, prefix=group.prefix, suffixes=group.suffixes)


def every_upload(spec: Spec, name: str) -> Wanted:
    """Return what a branch `name` of the house's own wants that hears of all uploads."""
    uploads = spec.uploads
    return Wanted(name=name, on="created", prefix=uploads.prefix, suffixes=uploads.suffixes)


def feed(spec: Spec, names: Names, want: Wanted) -> Feed:
    """Return the way from the uploads bucket to a branch."""
    match spec.uploads.deliver:
        case "topic":
            policy = _body_filter(spec, want)
            scope: Scope = "body" if policy else "attributes"
            return Feed(topics=((OCCASIONS[want.on].topic, policy, scope),))
        case "eventbridge":
            arn = names.place.arn("events", f"rule/{names.part(want.name)}")
            sender = Sender(id="eventbridge", principal=EVENTBRIDGE, arn=arn)
            return Feed(senders=(sender,), pattern=_pattern(spec, names.bucket("uploads"), want))
        case "queue" | "function":
            arn, account = names.place.bucket_arn(names.bucket("uploads")), names.place.account
            return Feed(senders=(Sender(id="s3", principal=S3, arn=arn, account=account),))


def rules(
    spec: Spec, names: Names, groups: Sequence[Group], topics: Mapping[str, str]
) -> tuple[r.Rule, ...]:
    """Return our entries of the bucket's notification document, sorted by id."""
    if spec.uploads.deliver == "eventbridge":
        return ()
    if spec.uploads.deliver == "topic":
        made = _to_topics(spec, names, occasions(groups), topics)
    else:
        made = _to_branches(spec, names, groups)
    return tuple(sorted(made, key=lambda rule: rule.id))


def _to_topics(
    spec: Spec, names: Names, told: Sequence[On], topics: Mapping[str, str]
) -> Iterator[r.Rule]:
    for on in told:
        topic = OCCASIONS[on].topic
        for suffix in spellings(spec.uploads.suffixes):
            yield r.Rule(
                id=_id(names, topic, suffix),
                events=_events(spec, on),
                target=r.Key("topic", topics[topic]),
                prefix=spec.uploads.prefix,
                suffix=suffix,
            )


def _to_branches(spec: Spec, names: Names, groups: Sequence[Group]) -> Iterator[r.Rule]:
    for group in groups:
        kind: r.Kind = "function" if group.via == "function" else "queue"
        for suffix in spellings(group.suffixes):
            yield r.Rule(
                id=_id(names, group.name, suffix),
                events=_events(spec, group.on),
                target=r.Key(kind, names.part(group.name)),
                prefix=group.prefix,
                suffix=suffix,
            )


def _id(names: Names, short: str, suffix: str) -> str:
    return f"{names.rule_prefix}{short}{suffix}"


def _events(spec: Spec, on: On) -> tuple[str, ...]:
    if on == "created" and spec.uploads.events:
        return tuple(sorted(f"s3:ObjectCreated:{_WAYS[way][0]}" for way in spec.uploads.events))
    return OCCASIONS[on].events


def spellings(suffixes: Sequence[str]) -> list[str]:
    """Return each suffix in lower, upper and title case, because S3 compares letter by letter."""
    forms = {form: None for each in suffixes for form in (each, each.upper(), each.title())}
    return list(forms) or [""]


def _pattern(spec: Spec, bucket: str, want: Wanted) -> str:
    """Return the event pattern that lets through what is wanted, by prefix and suffix at once."""
    detail: dict[str, object] = {"bucket": {"name": [bucket]}}
    if tests := _key_tests(want):
        detail["object"] = {"key": tests}
    if want.on == "created" and spec.uploads.events:
        detail["reason"] = sorted(_WAYS[way][1] for way in spec.uploads.events)
    types = list(OCCASIONS[want.on].detail_types)
    return r.canonical({"source": ["aws.s3"], "detail-type": types, "detail": detail})


def _key_tests(want: Wanted) -> list[dict[str, str]]:
    if want.suffixes:
        return [{"wildcard": f"{want.prefix}*{form}"} for form in spellings(want.suffixes)]
    return [{"prefix": want.prefix}] if want.prefix else []


def _body_filter(spec: Spec, want: Wanted) -> str:
    """Return what of the topic is wanted, as a policy on the body of S3's document.

    Keys stand there as S3 spells them in events. SNS can't ask for a prefix and a suffix of the same field at once:
    then it is the prefix, and the function passes over the rest.
    """
    if want.prefix != spec.uploads.prefix:
        tests = [{"prefix": quote(want.prefix, safe="/")}]
    elif want.suffixes != spec.uploads.suffixes:
        tests = [{"suffix": form} for form in spellings(want.suffixes)]
    else:
        return ""
    return r.canonical({"Records": {"s3": {"object": {"key": tests}}}})
