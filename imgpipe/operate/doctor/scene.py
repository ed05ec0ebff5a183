"""What was seen of a pipeline, as values. AWS's own documents are kept where a check wants their words.

A thing that something points at and that isn't there is in the scene too, as `missing`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.providers.site import last
from imgpipe.operate.doctor import policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from imgpipe.deploy.graph import Graph
    from imgpipe.deploy.plan import Action
    from imgpipe.deploy.resources import Place, Remark

    Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An entry of a bucket's notification document. `service` is the target's: `sns`, `sqs` or `lambda`."""

    id: str
    events: tuple[str, ...]
    target: str  # an ARN
    prefix: str = ""
    suffix: str = ""

    @property
    def service(self) -> str:
        return self.target.split(":")[2]

    @property
    def creates(self) -> bool:
        return any(event.startswith("s3:ObjectCreated:") for event in self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusRule:
    """A rule of the event bus that hears a bucket. `targets` are those that need to let EventBridge in."""

    arn: str
    enabled: bool = True
    targets: tuple[str, ...] = ()
    dlqs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return last(self.arn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """`keys` and the counts come from one page of each listing: enough to see a habit, and quick."""

    name: str
    rules: tuple[Rule, ...] = ()
    eventbridge: bool = False
    bus: tuple[BusRule, ...] = ()
    versioned: bool = False
    lifecycle: tuple[Document, ...] = ()
    keys: tuple[str, ...] = ()
    noncurrent: int = 0
    noncurrent_bytes: int = 0
    unfinished: int = 0
    oldest_unfinished: datetime | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """`subscriptions` are as SNS lists them, with their attributes among them."""

    arn: str
    policy: Document = field(default_factory=dict)
    subscriptions: tuple[Document, ...] = ()
    missing: bool = False

    @property
    def name(self) -> str:
        return last(self.arn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    arn: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    mappings: tuple[Document, ...] = ()
    missing: bool = False

    @property
    def name(self) -> str:
        return last(self.arn)

    @property
    def policy(self) -> Document:
        return policy.parse(self.attributes.get("Policy"))

    @property
    def redrive(self) -> Document:
        return policy.parse(self.attributes.get("RedrivePolicy"))

    @property
    def dlq(self) -> str:
        """The ARN of its dead-letter queue; "" without one."""
        return str(self.redrive.get("deadLetterTargetArn", ""))

    @property
    def visibility_s(self) -> int:
        return int(self.attributes.get("VisibilityTimeout", 30))

    @property
    def retention_s(self) -> int:
        return int(self.attributes.get("MessageRetentionPeriod", 345_600))

    @property
    def visible(self) -> int:
        return int(self.attributes.get("ApproximateNumberOfMessages", 0))

    @property
    def in_flight(self) -> int:
        return int(self.attributes.get("ApproximateNumberOfMessagesNotVisible", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What a function's log says of the last day, since the function was last changed; `refused` of the whole day.

    `retention_days` is None for a group that keeps everything for ever. Lists hold a few examples, newest last.
    """

    group: str
    missing: bool = False
    retention_days: int | None = None
    bytes: int = 0
    timeouts: tuple[str, ...] = ()
    killed: tuple[str, ...] = ()
    throttled: tuple[str, ...] = ()
    raised: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()  # pictures that the code can't save: 16 bits, transparency
    refused: tuple[
        tuple[str, str], ...
    ] = ()  # an action, and the ARN that it was refused on, if said
    undecoded: tuple[
        str, ...
    ] = ()  # keys asked for as S3 writes them in events, which exist decoded
    calls: int = 0
    max_used_mb: int = 0
    max_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """`role_policies`, by name, is None where they could not be read: then nothing is said of them."""

    arn: str
    configuration: Document = field(default_factory=dict)
    policy: Document = field(default_factory=dict)
    async_invoke: Document = field(default_factory=dict)
    reserved: int | None = None
    recursion: str = ""
    mappings: tuple[Document, ...] = ()
    role_policies: Mapping[str, Document] | None = None
    log: Log = field(default_factory=lambda: Log(group=""))
    missing: bool = False

    @property
    def name(self) -> str:
        return last(self.arn)

    @property
    def documents(self) -> tuple[Document, ...]:
        """What the role may do, as far as it is known."""
        return tuple((self.role_policies or {}).values())

    @property
    def timeout_s(self) -> int:
        return int(self.configuration.get("Timeout", 3))

    @property
    def memory_mb(self) -> int:
        return int(self.configuration.get("MemorySize", 128))

    @property
    def on_failure(self) -> str:
        """Where an asynchronous invocation that failed for good ends; "" for nowhere."""
        chosen = self.async_invoke.get("DestinationConfig", {}).get("OnFailure", {})
        dead = self.configuration.get("DeadLetterConfig", {})
        return str(chosen.get("Destination") or dead.get("TargetArn") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`samples` are a few items, as DynamoDB writes them."""

    name: str
    description: Document = field(default_factory=dict)
    samples: tuple[Document, ...] = ()
    missing: bool = False

    @property
    def indexes(self) -> tuple[Document, ...]:
        return tuple(self.description.get("GlobalSecondaryIndexes", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An upload beside what a function made of it: the colour mode as Pillow names it."""

    upload: str
    output: str
    turned: bool = False  # the upload's EXIF turns it on its side
    wide_as_stored: bool = False
    output_wide: bool = False
    output_mode: str = "RGB"
    black: bool = False  # the output is black where the upload is transparent


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`graph` is None for a pipeline that imgpipe didn't make. `unread` says what could not be looked at, and why."""

    place: Place
    now: datetime
    graph: Graph | None = None
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    alarms: tuple[Document, ...] = ()
    dashboards: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    undecoded: tuple[
        tuple[str, str], ...
    ] = ()  # who spoke of a key as events spell it, and the key
    measured: Mapping[tuple[str, str], float] = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)  # queue -> the oldest letter's, in s
    drift: tuple[Action, ...] = ()
    remarks: Mapping[str, tuple[Remark, ...]] = field(default_factory=dict)  # of others' buckets
    unread: tuple[str, ...] = ()

    def is_ours(self, name: str) -> bool:
        """Whether `imgpipe up` made, and so can mend, what has this name."""
        if self.graph is None:
            return False
        prefix = f"{self.graph.pipeline}-{self.graph.environment}-"
        return name.removeprefix("/aws/lambda/").startswith(prefix)

    def mend(self, name: str, ours: str, theirs: str) -> str:
        """Return the command for what is called `name`: imgpipe's, or AWS's for what others made."""
        return ours if self.is_ours(name) else theirs

    def step(self, function: str) -> str:
        """Return the short name that `imgpipe logs` knows a function by; its own name if it isn't ours."""
        branches = self.graph.branches if self.graph else ()
        return next((one.name for one in branches if one.function == function), function)

    def url(self, queue: str) -> str:
        return self.place.queue_url(queue)

    def rules(self) -> Iterator[tuple[Bucket, Rule]]:
        for bucket in self.buckets.values():
            for rule in bucket.rules:
                yield bucket, rule

    def bus(self) -> Iterator[BusRule]:
        for bucket in self.buckets.values():
            yield from bucket.bus

    def subscriptions(self) -> Iterator[tuple[Topic, Document]]:
        for topic in self.topics.values():
            for subscription in topic.subscriptions:
                yield topic, subscription

    def dead_letter_queues(self) -> dict[str, Queue]:
        """Return by ARN every queue that something gives up into."""
        arns = {queue.dlq for queue in self.queues.values()}
        arns |= {function.on_failure for function in self.functions.values()}
        arns |= {dead_letter_target(one) for _, one in self.subscriptions()}
        arns |= {arn for rule in self.bus() for arn in rule.dlqs}
        return {arn: self.queues[arn] for arn in sorted(arns) if arn in self.queues}

    def hears(self, queue: Queue) -> bool:
        """Whether a bucket, a topic or a rule of the event bus sends the queue what happens."""
        told = [rule.target for _, rule in self.rules()]
        told += [str(one.get("Endpoint", "")) for _, one in self.subscriptions()]
        told += [arn for rule in self.bus() for arn in rule.targets]
        return queue.arn in told

    def callers(self, function: Function) -> list[str]:
        """Return who invokes the function asynchronously: `bucket NAME`, `topic NAME`."""
        said = [
            f"bucket {bucket.name}" for bucket, rule in self.rules() if rule.target == function.arn
        ]
        said += [
            f"topic {topic.name}"
            for topic, one in self.subscriptions()
            if one.get("Endpoint") == function.arn
        ]
        said += [f"rule {rule.name}" for rule in self.bus() if function.arn in rule.targets]
        return list(dict.fromkeys(said))


def dead_letter_target(subscription: Document) -> str:
    """Return the ARN of the queue that takes what a subscription can't deliver; "" without one."""
    redrive = json.loads(subscription.get("RedrivePolicy") or "{}")
    return str(redrive.get("deadLetterTargetArn", ""))


def is_pending(subscription: Document) -> bool:
    return not str(subscription.get("SubscriptionArn", "")).startswith("arn:")
