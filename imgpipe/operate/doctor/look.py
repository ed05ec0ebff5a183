"""Following the wiring from a bucket to whatever it reaches, a generation at a time, all calls of one side by side.

A bucket leads to what it notifies, also through EventBridge; a topic to its subscribers; a queue to the functions that
its mappings feed; every one to its dead letters; a function also to the queues, topics and tables that its environment
names. A pipeline of ours is entered at every declared place at once, so that a cut wire hides nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.deploy import resources as r
from imgpipe.deploy.plan import pending
from imgpipe.errors import MissingError
from imgpipe.operate.doctor import measured, probing, readers
from imgpipe.operate.doctor.asking import Asking
from imgpipe.operate.doctor.scene import (
    Bucket,
    Function,
    Queue,
    Scene,
    Table,
    Topic,
    dead_letter_target,
)
from imgpipe.operate.parallel import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from imgpipe.cloud import Cloud
    from imgpipe.deploy.plan import Action
    from imgpipe.operate.project import Project

WORKERS = 16
GENERATIONS = 12
"""The longest way that is followed: S3, SNS, SQS, a function, and once more for what it feeds in turn."""
Seen = Bucket | Topic | Queue | Function | Table
Node = tuple[str, str]
"""A service (`s3 sns sqs lambda dynamodb`) and an ARN; a bucket's or table's name."""

_QUEUE_URL = re.compile(r"https?://[^\s\"/]+/(\d{12})/([A-Za-z0-9_-]+(?:\.fifo)?)")
_ARN = re.compile(r"arn:aws[\w-]*:(sns|sqs|lambda):[\w-]+:\d{12}:(?:function:)?[A-Za-z0-9_.-]+")


def at_project(project: Project, since: timedelta) -> Scene:
    """Return what a pipeline of ours looks like, with how it differs from its declaration."""
    graph, look = project.graph, Look(project.cloud, project.graph.place, since)
    begin: list[Node] = [
        *(("s3", name) for name in (graph.uploads_bucket, graph.variants_bucket, graph.ops_bucket)),
        *(("sns", graph.place.topic_arn(one.name)) for one in graph.of(r.Topic)),
        *(("sqs", graph.place.queue_arn(one.name)) for one in graph.of(r.Queue)),
        *(("lambda", graph.place.function_arn(one.name)) for one in graph.of(r.Function)),
        ("dynamodb", graph.table),
    ]
    prefix = f"{graph.pipeline}-{graph.environment}-"
    _, actions = together(partial(look.follow, begin), partial(_plan, project))
    seen = look.scene(graph=graph, drift=tuple(pending(actions or ())), dashboards=prefix)
    return replace(seen, remarks=dict(_remarks(actions or ())))


def at_bucket(cloud: Cloud, bucket: str, since: timedelta) -> Scene:
    """Return what hangs on a bucket, whoever made it."""
    from imgpipe.deploy.graph import partition_of

    region = cloud.region  # asked first: without one, no client can be made
    try:
        place = r.Place(cloud.account, region, partition_of(region))
    except Exception as error:
        raise explain(error, f"bucket {bucket}") from error
    look = Look(cloud, place, since)
    look.follow([("s3", bucket)])
    return look.scene(graph=None, drift=(), dashboards="")


def _plan(project: Project) -> list[Action]:
    """Return how the pipeline is and should be; nothing when that can't be compared, which a check says then."""
    from imgpipe.operate.provision import plan

    try:
        return plan(project)
    except MissingError:
        return []


def _remarks(actions: Iterable[Action]) -> Iterator[tuple[str, tuple[r.Remark, ...]]]:
    for action in actions:
        if isinstance(action.before, r.ExistingBucket):
            yield action.key.name, action.before.remarks


@dataclass(slots=True)
class Look:
    """A scene in the making."""

    cloud: Cloud
    place: r.Place
    back: timedelta
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    seen: dict[Node, Seen] = field(default_factory=dict)
    asking: Asking = field(init=False)
    _tables: frozenset[str] | None = None

    def __post_init__(self) -> None:
        self.asking = Asking(self.cloud)

    def follow(self, begin: Iterable[Node]) -> None:
        """Read `begin` and everything that can be reached from it."""
        coming = dict.fromkeys(begin)
        for _ in range(GENERATIONS):
            nodes = [node for node in coming if node not in self.seen]
            if not nodes:
                return
            found: list[Seen] = []
            for first in range(0, len(nodes), WORKERS):
                some = nodes[first : first + WORKERS]
                found += together(*(partial(self._read, node) for node in some))
            self.seen.update(zip(nodes, found, strict=True))
            coming = dict.fromkeys(node for one in found for node in self._beyond(one))

    def scene(self, *, graph: Any, drift: tuple[Action, ...], dashboards: str) -> Scene:
        queues, functions = self._all(Queue), self._all(Function)
        topics, tables = self._all(Topic), self._all(Table)
        bare = Scene(
            place=self.place,
            now=self.now,
            graph=graph,
            buckets=self._all(Bucket),
            topics=topics,
            queues=queues,
            functions=functions,
            tables=tables,
        )
        names = {one.name for kind in (queues, functions, topics, tables) for one in kind.values()}
        calls: list[Callable[[], Any]] = [
            partial(measured.alarms, self.asking, names),
            partial(measured.dashboards, self.asking, dashboards),
            partial(measured.day, self.asking, bare),
            partial(measured.ages, self.asking, bare),
            partial(probing.undecoded, self.asking, bare),
            partial(probing.pictures, self.asking, bare, self._outputs()),
        ]
        alarms, pages, sums, ages, undecoded, pictures = together(*calls)
        self.follow(
            node
            for alarm in alarms
            for node in map(_node, alarm.get("AlarmActions", ()))
            if node and node[0] == "sns"
        )
        return replace(
            bare,
            topics=self._all(Topic),
            alarms=alarms,
            dashboards=pages,
            measured=sums,
            ages=ages,
            undecoded=undecoded,
            pictures=pictures,
            drift=drift,
            unread=tuple(sorted(self.asking.unread)),
        )

    def _outputs(self) -> list[str]:
        """Return the buckets that functions' environments name, beside those that trigger them."""
        texts = [json.dumps(_variables(one)) for one in self._all(Function).values()]
        words = {word for text in texts for word in re.split(r"[^a-z0-9.-]+", text)}
        listed = self.asking.ask(
            "the buckets", lambda: self.asking.client("s3").list_buckets()["Buckets"]
        )
        return sorted({one["Name"] for one in listed or ()} & words)

    def _all(self, kind: type[Any]) -> dict[str, Any]:
        return {name: one for (_, name), one in self.seen.items() if isinstance(one, kind)}

    def _read(self, node: Node) -> Seen:
        service, name = node
        match service:
            case "s3":
                return readers.bucket(self.asking, name)
            case "sns":
                return readers.topic(self.asking, name)
            case "sqs":
                return readers.queue(self.asking, self.place, name)
            case "lambda":
                return readers.function(self.asking, name, self.now - self.back)
            case _:
                return readers.table(self.asking, name)

    def _beyond(self, seen: Seen) -> Iterator[Node]:
        arns: Iterable[str] = ()
        match seen:
            case Bucket():
                heard = [(*rule.targets, *rule.dlqs) for rule in seen.bus]
                arns = [*(rule.target for rule in seen.rules), *chain.from_iterable(heard)]
            case Topic():
                arns = [
                    arn
                    for one in seen.subscriptions
                    for arn in (one.get("Endpoint", ""), dead_letter_target(one))
                ]
            case Queue():
                arns = [seen.dlq, *(one.get("FunctionArn", "") for one in seen.mappings)]
            case Function():
                arns = [seen.on_failure, *(one.get("EventSourceArn", "") for one in seen.mappings)]
                yield from self._named(seen)
            case Table():
                pass
        yield from filter(None, map(_node, arns))

    def _named(self, function: Function) -> Iterator[Node]:
        """Yield the queues, topics and tables that a function's environment names."""
        text = json.dumps(_variables(function)).replace("\\", "")
        for found in _ARN.finditer(text):
            yield found[1], found[0]
        for account, name in _QUEUE_URL.findall(text):
            if account == self.place.account:
                yield "sqs", self.place.queue_arn(name)
        for table in self._known_tables() & set(re.split(r"[^A-Za-z0-9_.-]+", text)):
            yield "dynamodb", table

    def _known_tables(self) -> frozenset[str]:
        if self._tables is None:
            client = self.asking.client("dynamodb")
            listed = self.asking.ask("the tables", lambda: client.list_tables()["TableNames"])
            self._tables = frozenset(listed or ())
        return self._tables


def _variables(function: Function) -> Mapping[str, str]:
    known: Mapping[str, str] = function.configuration.get("Environment", {}).get("Variables", {})
    return known


def _node(arn: str) -> Node | None:
    """Return what is at the end of a wire; None for an address, or a version of a function by its number."""
    found = _ARN.match(arn or "")
    return (found[1], found[0]) if found else None
