"""What a pipeline is made of: one frozen dataclass for each kind of AWS resource.

A resource knows its key, and the keys it needs to exist first; together they are the graph. A provider reads back
exactly the type it creates, so equality is the diff. Policies and patterns are canonical JSON text (`canonical`), so
that two documents that mean the same compare equal. ARNs are computed from names (`Place`), never looked up.

Tags are not part of a resource: everything carries the same ones (`Graph.tags`), set when it is created.
What only AWS can know (a mapping's UUID, a subscription's ARN) stays inside the providers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Kind = Literal[
    "bucket",
    "topic",
    "queue",
    "table",
    "log_group",
    "role",
    "function",
    "async_invoke",
    "permission",
    "function_url",
    "mapping",
    "subscription",
    "event_rule",
    "notification",
    "alarm",
    "dashboard",
]


InvokeAction = Literal["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"]
URL_STATEMENTS: dict[str, InvokeAction] = {
    "open-url": "lambda:InvokeFunctionUrl",
    "open-invoke": "lambda:InvokeFunction",
}
"""The two statements that open a function's URL to everybody: since October 2025 AWS asks for both."""


class Key(NamedTuple):
    """The identity of a resource within its account and Region."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def canonical(document: Any) -> str:
    """Return JSON text that is equal for equal documents: sorted keys, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where resources live. The account and Region may be symbolic (`${AWS::AccountId}`) in an export."""

    account: str
    region: str
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def bucket_arn(self, name: str) -> str:
        return f"arn:{self.partition}:s3:::{name}"

    def target_arn(self, target: Key) -> str:
        """Return the ARN of what an event may go to: a topic, queue or function."""
        match target.kind:
            case "topic":
                return self.topic_arn(target.name)
            case "queue":
                return self.queue_arn(target.name)
            case "function":
                return self.function_arn(target.name)
            case _:
                raise ValueError(target)

    def topic_arn(self, name: str) -> str:
        return self.arn("sns", name)

    def queue_arn(self, name: str) -> str:
        return self.arn("sqs", name)

    def queue_url(self, name: str) -> str:
        return f"https://sqs.{self.region}.amazonaws.com/{self.account}/{name}"

    def function_arn(self, name: str) -> str:
        return self.arn("lambda", f"function:{name}")

    def table_arn(self, name: str) -> str:
        return self.arn("dynamodb", f"table/{name}")

    def log_group_arn(self, name: str) -> str:
        return self.arn("logs", f"log-group:{name}")

    def alarm_arn(self, name: str) -> str:
        return self.arn("cloudwatch", f"alarm:{name}")

    def dashboard_arn(self, name: str) -> str:
        return f"arn:{self.partition}:cloudwatch::{self.account}:dashboard/{name}"

    def role_arn(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/imgpipe/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A private S3 bucket: public access blocked, owner enforced, SSE-S3, `policy` denies plain HTTP."""

    name: str
    versioning: bool
    policy: str
    abort_multipart_days: int = 7
    noncurrent_days: int | None = None  # versioned buckets: how long a replaced version is kept
    private: bool = True  # what is found may not be: then it is closed again
    origins: tuple[str, ...] = ()  # whose pages may upload by signed form or link (CORS)

    @property
    def key(self) -> Key:
        return Key("bucket", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


class Remark(NamedTuple):
    said: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingBucket:
    """A bucket that was there before the pipeline. Nothing of it is ours but entries in its notification document.

    `origins` are those whose pages would upload to it; `kms_key` is what the functions may use; `remarks` is what a
    person should know of its settings, each with the command that would change it.
    """

    name: str
    origins: tuple[str, ...] = field(default=(), compare=False)
    kms_key: str = field(default="", compare=False)
    remarks: tuple[Remark, ...] = field(default=(), compare=False)

    @property
    def key(self) -> Key:
        return Key("bucket", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A standard SNS topic and its resource policy."""

    name: str
    policy: str
    display_name: str = ""

    @property
    def key(self) -> Key:
        return Key("topic", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A standard SQS queue (SSE-SQS). A message received `max_receives` times without success moves to `dlq`."""

    name: str
    policy: str
    visibility_s: int = 30
    retention_s: int = 345_600
    receive_wait_s: int = 20
    dlq: str | None = None  # a queue's name
    max_receives: int = 5

    @property
    def key(self) -> Key:
        return Key("queue", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (Key("queue", self.dlq),) if self.dlq else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A global secondary index that projects all attributes; both keys are strings."""

    name: str
    hash_key: str
    range_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A DynamoDB table, billed on demand; both keys are strings."""

    name: str
    hash_key: str
    range_key: str
    indexes: tuple[Index, ...] = ()
    ttl_attribute: str = "expires_at"
    recovery: bool = True  # point-in-time recovery
    deletion_protection: bool = True

    @property
    def key(self) -> Key:
        return Key("table", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    name: str
    retention_days: int

    @property
    def key(self) -> Key:
        return Key("log_group", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A function's execution role under the path `/imgpipe/`, with one inline policy."""

    name: str
    trust: str
    policy: str

    @property
    def key(self) -> Key:
        return Key("role", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A Lambda function. `code_hash` is the hash of its sources and lock (`package.code_hash`), never of the zip.

    It is kept in the function's environment as IMGPIPE_CODE_HASH, where `read` finds it again. `source` names the
    folder under `lambdas/` that the zip is built from.
    """

    name: str
    role: str  # a role's name
    source: str = field(compare=False)
    handler: str
    runtime: str
    architecture: Literal["x86_64", "arm64"]
    memory_mb: int
    timeout_s: int
    tmp_mb: int
    environment: tuple[tuple[str, str], ...]  # sorted by name, without IMGPIPE_CODE_HASH
    code_hash: str
    log_group: str
    reserved_concurrency: int | None = None
    waits_for: tuple[Key, ...] = field(default=(), compare=False)  # what must listen already

    @property
    def key(self) -> Key:
        return Key("function", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (Key("role", self.role), Key("log_group", self.log_group), *self.waits_for)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncInvoke:
    """How Lambda retries an asynchronous invocation of `function`, and the queue that its failures end in."""

    function: str
    on_failure: str  # a queue's name
    on_success: str = (
        ""  # the ARN of a queue, topic, function or event bus that hears of what worked
    )
    retries: int = 2
    max_age_s: int = 21_600

    @property
    def key(self) -> Key:
        return Key("async_invoke", self.function)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (Key("function", self.function), Key("queue", self.on_failure))


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A statement of `function`'s resource policy: `principal` may invoke it for `source_arn`, or, where that is
    empty, whoever comes by the function's URL.
    """

    function: str
    statement_id: str
    principal: str
    source_arn: str = ""
    source_account: str | None = None
    action: InvokeAction = "lambda:InvokeFunction"

    @property
    def key(self) -> Key:
        return Key("permission", f"{self.function}/{self.statement_id}")

    @property
    def needs(self) -> tuple[Key, ...]:
        return (Key("function", self.function),)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUrl:
    """An HTTPS address of `function`. AWS makes it up: who wants it asks (`Urls.address`)."""

    function: str
    auth: Literal["AWS_IAM", "NONE"] = "AWS_IAM"
    origins: tuple[str, ...] = ()  # whose pages may call it (CORS)

    @property
    def key(self) -> Key:
        return Key("function_url", self.function)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (Key("function", self.function),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """An event source mapping, `queue` -> `function`. `reports_failures` is ReportBatchItemFailures: without it, the
    messages that a call names as failed are deleted with the rest; ours always have it. `filters` are the patterns of
    FilterCriteria: messages that fit none are deleted unread, so ours have none.
    """

    queue: str
    function: str
    batch: int = 10
    window_s: int = 0
    max_concurrency: int | None = None
    enabled: bool = True
    reports_failures: bool = True
    filters: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return Key("mapping", f"{self.queue}->{self.function}")

    @property
    def needs(self) -> tuple[Key, ...]:
        return (Key("queue", self.queue), Key("function", self.function))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """`endpoint` hears of what `topic` publishes; what can't be delivered goes to the queue `dlq`.

    For `sqs` and `lambda`, `endpoint` is the queue's or function's name; for the others an address.
    """

    topic: str
    protocol: Literal["sqs", "lambda", "email", "sms", "application"]
    endpoint: str
    dlq: str | None
    filter_policy: str = ""  # canonical JSON, or nothing
    filter_scope: Literal["attributes", "body"] = "attributes"

    @property
    def key(self) -> Key:
        return Key("subscription", f"{self.topic}->{self.protocol}:{self.endpoint}")

    @property
    def needs(self) -> tuple[Key, ...]:
        target: tuple[Key, ...] = ()
        if self.protocol == "sqs":
            target = (Key("queue", self.endpoint),)
        elif self.protocol == "lambda":
            target = (Key("function", self.endpoint),)
        dlq = (Key("queue", self.dlq),) if self.dlq else ()
        return (Key("topic", self.topic), *target, *dlq)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One entry of a bucket's notification document. `id` carries our prefix, so that others' entries are kept."""

    id: str
    events: tuple[str, ...]
    target: Key  # a topic, queue or function
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Our entries in `bucket`'s notification document, sorted by id; foreign entries are not ours to read or write."""

    bucket: str
    id_prefix: str
    rules: tuple[Rule, ...]
    eventbridge: bool = False  # everything to the account's event bus as well; never switched off
    waits_for: tuple[Key, ...] = field(
        default=(), compare=False
    )  # e.g. permissions and subscriptions

    @property
    def key(self) -> Key:
        return Key("notification", self.bucket)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (Key("bucket", self.bucket), *(rule.target for rule in self.rules), *self.waits_for)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """A rule of EventBridge's default bus: events like `pattern` go to `target`, or in the end to the queue `dlq`."""

    name: str
    pattern: str  # canonical JSON
    target: Key  # a queue or function
    dlq: str
    enabled: bool = True

    @property
    def key(self) -> Key:
        return Key("event_rule", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (self.target, Key("queue", self.dlq))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A CloudWatch metric alarm that tells the topic `action` when it goes off and when it is over."""

    name: str
    description: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    period_s: int
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    action: str  # a topic's name
    treat_missing_data: str = "notBreaching"

    @property
    def key(self) -> Key:
        return Key("alarm", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (Key("topic", self.action),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A CloudWatch dashboard: `body` is its canonical JSON. It names what it shows, but needs none of it."""

    name: str
    body: str

    @property
    def key(self) -> Key:
        return Key("dashboard", self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


Resource = (
    Bucket
    | ExistingBucket
    | Topic
    | Queue
    | Table
    | LogGroup
    | Role
    | Function
    | AsyncInvoke
    | Permission
    | FunctionUrl
    | Mapping
    | Subscription
    | EventRule
    | Notification
    | Alarm
    | Dashboard
)
