"""What S3 says, and to whom: a bucket's live notification rules, and captured events read out.

The rules are read from the bucket, not from pipeline.yaml: also those that others wrote. An event may be captured
anywhere on its way, in whatever envelopes, or be what `aws sqs receive-message` printed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from imgpipe.cloud import explain
from imgpipe.deploy.providers.s3_notification import EVENTBRIDGE, entries
from imgpipe.deploy.resources import Notification
from imgpipe.errors import UsageError
from imgpipe.operate import bus
from imgpipe.operate.images import candidates
from imgpipe.runtime.errors import Malformed
from imgpipe.runtime.events import MAX_DEPTH, Change, changes

if TYPE_CHECKING:
    from imgpipe.operate.project import Project


@dataclass(frozen=True, slots=True)
class Heard:
    """A live rule. `subscribers` are those of a topic that it speaks to, as `sqs:NAME` or an address."""

    id: str
    events: tuple[str, ...]
    prefix: str
    suffix: str
    target: str  # `topic NAME`, `queue NAME`, `function NAME`
    ours: bool
    subscribers: tuple[str, ...] = ()

    def hears(self, key: str) -> bool:
        """Whether the rule is for `key`. S3 writes filters as in a URL: a space is `+`."""
        return key.startswith(unquote_plus(self.prefix)) and key.endswith(unquote_plus(self.suffix))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Live:
    """What a bucket announces. `eventbridge` are the event bus's rules for it; None if the bus isn't told at all."""

    bucket: str
    rules: tuple[Heard, ...]
    eventbridge: tuple[bus.BusRule, ...] | None

    @property
    def silent(self) -> bool:
        return not self.rules and not self.eventbridge

    def of(self, key: str) -> Live:
        """Return what is announced of `key`."""
        told = self.eventbridge
        return Live(
            self.bucket,
            tuple(rule for rule in self.rules if rule.hears(key)),
            None if told is None else tuple(rule for rule in told if rule.hears(key)),
        )

    def names_place_of(self, key: str) -> bool:
        """Whether a rule that asks how keys begin hears of `key`."""
        told = any(rule.prefix and rule.hears(key) for rule in self.rules)
        return told or any(rule.names_place_of(key) for rule in self.eventbridge or ())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Told:
    """A captured event: its envelopes from the outside in, and the changes that it tells of."""

    envelopes: tuple[str, ...]
    changes: tuple[Change, ...]

    def as_json(self) -> dict[str, Any]:
        shown = [
            {name: value for name, value in asdict(change).items() if name != "record"}
            for change in self.changes
        ]
        return {"envelopes": self.envelopes, "changes": shown}


def live(project: Project) -> Live:
    """Read the uploads bucket's rules and who hears them. Raises CloudError."""
    graph = project.graph
    try:
        document = dict(
            project.cloud.client("s3").get_bucket_notification_configuration(
                Bucket=graph.uploads_bucket
            )
        )
        topics = {rule.target.name for rule in entries(document) if rule.target.kind == "topic"}
        with ThreadPoolExecutor(8) as pool:
            heard = dict(
                zip(topics, pool.map(lambda one: _ears(project, one), topics), strict=True)
            )
        told = bus.rules(project, graph.uploads_bucket) if EVENTBRIDGE in document else None
    except Exception as error:
        raise explain(error, f"bucket {graph.uploads_bucket}") from error
    marks = tuple(one.id_prefix for one in graph.of(Notification))
    rules = tuple(
        Heard(
            id=rule.id,
            events=rule.events,
            prefix=rule.prefix,
            suffix=rule.suffix,
            target=str(rule.target),
            ours=rule.id.startswith(marks),
            subscribers=heard.get(rule.target.name, ()) if rule.target.kind == "topic" else (),
        )
        for rule in entries(document)
    )
    return Live(graph.uploads_bucket, rules, told)


def key_of(project: Project, key: str, found: Live) -> str:
    """Return the full key that is meant: `key` as it stands where a live rule is for its place; else that which an
    upload called `key` has. A rule for every key tells nothing of what was meant."""
    return key if found.names_place_of(key) else candidates(project.graph.prefix, key)[0]


def _ears(project: Project, topic: str) -> tuple[str, ...]:
    pages = project.cloud.client("sns").get_paginator("list_subscriptions_by_topic")
    found = [
        one
        for page in pages.paginate(TopicArn=project.graph.place.topic_arn(topic))
        for one in page["Subscriptions"]
    ]
    return tuple(sorted(f"{one['Protocol']}:{one['Endpoint'].rpartition(':')[2]}" for one in found))


def decode(text: str) -> list[Told]:
    """Read a captured event, or each message of what `aws sqs receive-message` printed. Raises UsageError."""
    try:
        document = json.loads(text)
        return [_told(one) for one in _captured(document)]
    except (ValueError, RecursionError) as error:
        raise UsageError("the event", f"it is not JSON: {error}") from error
    except Malformed as error:
        raise UsageError("the event", str(error), hint="imgpipe events --help") from error


def _captured(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("Messages"), list):
        for message in document["Messages"]:
            yield {"Records": [{"eventSource": "aws:sqs", "body": str(message.get("Body", ""))}]}
    elif isinstance(document, dict):
        yield document
    else:
        raise Malformed(f"a JSON {type(document).__name__}, not an object")


def _told(document: dict[str, Any]) -> Told:
    return Told(tuple(_envelopes(document)), changes(document))


def _envelopes(document: Any) -> Iterator[str]:
    """Name each envelope, from the outside in, along the first record of each."""
    for _ in range(MAX_DEPTH):
        name, document = _opened(document)
        if name:
            yield name
        if document is None:
            return


def _opened(document: Any) -> tuple[str, Any]:
    """Return the name of the outermost envelope and what is in it; None in the end."""
    match document:
        case {"Records": [first, *_]}:
            return "", first
        case {"body": str(text)}:
            return "SQS", json.loads(text)
        case {"Sns": {"Message": str(text)}} | {"Message": str(text)}:
            return "SNS", json.loads(text)
        case {"requestPayload": dict() as inner}:
            return "Lambda, a failed invocation", inner
        case _:
            return _innermost(document), None


def _innermost(document: Any) -> str:
    match document:
        case {"source": "aws.s3"}:
            return "EventBridge"
        case {"Event": "s3:TestEvent"}:
            return "S3's test event"
        case {"s3": _}:
            return "S3"
        case _:
            return ""
