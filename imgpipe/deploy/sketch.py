"""A graph as boxes and arrows, before anybody decides where they go: what `diagram` and `drawing`
draw.

Every arrow is read off a resource: notification rules, subscriptions, mappings, and for what a
function sends or writes, its role. So the picture shows what is deployed, and a permission nobody
uses would show.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imgpipe.deploy import resources as r
from imgpipe.deploy import triggers
from imgpipe.deploy.names import DLQ_ENDING
from imgpipe.deploy.resources import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgpipe.deploy.graph import Branch, Graph
    from imgpipe.deploy.model import On

Shape = Literal["bucket", "topic", "queue", "function", "table", "people", "alarms"]
Style = Literal["solid", "dashed"]

ORDER: tuple[On, ...] = ("created", "restored", "tagged", "removed")
_TOPICS = {
    "uploaded": "new objects",
    "restored": "restored objects",
    "tagged": "changed tags",
    "removed": "removals",
    "completed": "images ended",
}
VARIANTS = "variants"
_PEOPLE = {"email": "e-mail", "sms": "text", "application": "push"}


@dataclass(frozen=True, slots=True)
class Node:
    """A box. `dlq` is the short name of the dead-letter queue that hangs under it."""

    key: Key | str
    shape: Shape
    title: str
    detail: str
    dlq: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    source: Key | str
    target: Key | str
    label: str = ""
    style: Style = "solid"


@dataclass(frozen=True, slots=True)
class Sketch:
    title: str
    nodes: dict[Key | str, Node]
    edges: tuple[Edge, ...]

    def after(self, key: Key | str) -> list[Edge]:
        return [edge for edge in self.edges if edge.source == key]


def sketch(graph: Graph) -> Sketch:
    """Return the boxes and arrows of `graph`; dead-letter queues are part of the box that they
    serve.
    """
    nodes = {node.key: node for node in _nodes(graph)}
    edges = [edge for edge in _edges(graph) if edge.source in nodes and edge.target in nodes]
    return Sketch(f"{graph.pipeline} · {graph.environment}", nodes, tuple(dict.fromkeys(edges)))


def _nodes(graph: Graph) -> Iterator[Node]:
    yield Node(
        Key("bucket", graph.uploads_bucket), "bucket", "uploads", graph.prefix or "every key"
    )
    yield Node(_pictures(graph), "bucket", "variants", graph.variants_prefix or "the pictures")
    yield Node(Key("table", graph.table), "table", "images", "a row an image")
    served = _dead_letter_queues(graph)
    for short, name in graph.topics.items():
        key = Key("topic", name)
        detail = _TOPICS.get(short, "topic")
        yield Node(key, "topic", short, detail, _short(graph, served.get(key, "")))
    for short, name in graph.queues.items():
        key = Key("queue", name)
        if not short.endswith(DLQ_ENDING):
            yield Node(key, "queue", short, "queue", _short(graph, served.get(key, "")))
    for branch in graph.branches:
        where = _runs(branch)
        steps = ", ".join(step for step in branch.steps if step != branch.name)
        what = "function" if branch.function else "workers"
        dlq = served.get(where, "") if isinstance(where, Key) else ""
        yield Node(where, "function", branch.name, steps or what, _short(graph, dlq))
    for branch in graph.called:
        yield Node(_runs(branch), "function", branch.name, "leave to upload")
    for url in graph.of(r.FunctionUrl):
        who = "open to all" if url.auth == "NONE" else "signed calls"
        yield Node(_callers(url), "people", "HTTP", who)
    for topic, detail in _people(graph).items():
        yield Node(f"people {topic}", "people", "people", detail)
    yield Node("alarms", "alarms", f"{len(graph.of(r.Alarm))} alarms", "failures, delays")


def _pictures(graph: Graph) -> Key | str:
    """Return the box of the variants: a bucket, or a folder of the uploads' that is drawn as if it were one."""
    return VARIANTS if graph.variants_prefix else Key("bucket", graph.variants_bucket)


def _callers(url: r.FunctionUrl) -> str:
    return f"callers {url.function}"


def _short(graph: Graph, queue: str) -> str:
    return queue.removeprefix(f"{graph.pipeline}-{graph.environment}-")


def _dead_letter_queues(graph: Graph) -> dict[Key, str]:
    """Map each queue, directly invoked function and people's topic to the queue that its failures
    end in.
    """
    served = {queue.key: queue.dlq for queue in graph.of(r.Queue) if queue.dlq}
    served |= {Key("function", made.function): made.on_failure for made in graph.of(r.AsyncInvoke)}
    for subscription in graph.of(r.Subscription):
        if subscription.protocol in _PEOPLE and subscription.dlq:
            served[Key("topic", subscription.topic)] = subscription.dlq
    return served


def _people(graph: Graph) -> dict[str, str]:
    """Say for each topic how many addresses of which kind hear it; the addresses themselves stay
    out.
    """
    heard: dict[str, Counter[str]] = {}
    for subscription in graph.of(r.Subscription):
        if subscription.protocol in _PEOPLE:
            heard.setdefault(subscription.topic, Counter())[_PEOPLE[subscription.protocol]] += 1
    return {
        topic: ", ".join(f"{count} by {word}" for word, count in counts.items())
        for topic, counts in heard.items()
    }


def _edges(graph: Graph) -> Iterator[Edge]:
    for notification in graph.of(r.Notification):
        told = [(_occasion(rule.events), rule.prefix, rule.target) for rule in notification.rules]
        for on, prefix, target in sorted(told, key=lambda each: ORDER.index(each[0])):
            below = prefix.removeprefix(graph.prefix)
            yield Edge(Key("bucket", notification.bucket), target, f"{on} {below}".strip())
    for bus_rule in graph.of(r.EventRule):
        on = _occasion(json.loads(bus_rule.pattern)["detail-type"])
        yield Edge(Key("bucket", graph.uploads_bucket), bus_rule.target, f"{on} by EventBridge")
    for subscription in graph.of(r.Subscription):
        yield Edge(Key("topic", subscription.topic), _endpoint(subscription))
    for mapping in graph.of(r.Mapping):
        yield Edge(Key("queue", mapping.queue), Key("function", mapping.function))
    yield from (
        Edge(_callers(url), Key("function", url.function), "POST")
        for url in graph.of(r.FunctionUrl)
    )
    for branch in (*graph.branches, *graph.called):
        yield from _branch_edges(graph, branch)
    for topic in sorted({alarm.action for alarm in graph.of(r.Alarm)}):
        yield Edge("alarms", Key("topic", topic))


def _branch_edges(graph: Graph, branch: Branch) -> Iterator[Edge]:
    if not branch.function and branch.queue:
        yield Edge(Key("queue", branch.queue), _runs(branch))
    role = graph.resources[Key("role", branch.role)]
    if isinstance(role, r.Role):
        yield from _outgoing(graph, _runs(branch), role.policy)


def _runs(branch: Branch) -> Key | str:
    """Return the box of what does a branch's work."""
    return Key("function", branch.function) if branch.function else f"workers {branch.name}"


def _occasion(told: Sequence[str]) -> On:
    """Return our word for S3's or EventBridge's names of events."""
    names = triggers.OCCASIONS.items()
    return next(
        (on for on, occasion in names if set(told) & {*occasion.events, *occasion.detail_types}),
        "created",
    )


def _endpoint(subscription: r.Subscription) -> Key | str:
    if subscription.protocol == "sqs":
        return Key("queue", subscription.endpoint)
    if subscription.protocol == "lambda":
        return Key("function", subscription.endpoint)
    return f"people {subscription.topic}"


def _outgoing(graph: Graph, function: Key | str, policy: str) -> Iterator[Edge]:
    """Yield an arrow for all that a function's role lets it write, send, publish or delete."""
    by_arn = _by_arn(graph)
    for statement in json.loads(policy)["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        style: Style | None = _style(_listed(statement["Action"]))
        for arn in _listed(statement["Resource"]) if style else ():
            target = by_arn.get(_place(graph, arn) if ":s3:" in arn else arn)
            if target and style:
                yield Edge(function, target, style=style)


def _place(graph: Graph, arn: str) -> str:
    """Return the ARN of the bucket that an object's ARN is in, or of the folder for variants in it."""
    inside = f"{graph.place.bucket_arn(graph.variants_bucket)}/{graph.variants_prefix}"
    return (
        inside
        if graph.variants_prefix and arn.startswith(inside)
        else arn.split("/", maxsplit=1)[0]
    )


def _style(actions: Sequence[str]) -> Style | None:
    if {"s3:PutObject", "sqs:SendMessage", "sns:Publish", "dynamodb:PutItem"} & set(actions):
        return "solid"
    return "dashed" if "s3:DeleteObject" in actions else None


def _by_arn(graph: Graph) -> dict[str, Key | str]:
    place = graph.place
    uploads, below = place.bucket_arn(graph.uploads_bucket), graph.variants_prefix
    variants = place.bucket_arn(graph.variants_bucket)
    arns: dict[str, Key | str] = {
        uploads: Key("bucket", graph.uploads_bucket),
        f"{variants}/{below}" if below else variants: _pictures(graph),
    }
    arns |= {place.topic_arn(name): Key("topic", name) for name in graph.topics.values()}
    arns |= {place.queue_arn(name): Key("queue", name) for name in graph.queues.values()}
    return {**arns, place.table_arn(graph.table): Key("table", graph.table)}


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
