"""An AWS to try things on: clients, and makers of what a test needs, each with a name of its
own.
"""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANDLERS = Path(__file__).with_name("handlers.py")
PATIENCE_S = 20.0
REGION = "us-east-1"
EXPIRING = "expiring"
"""A table in which an item's time was up when the session began."""

T = TypeVar("T")


def until(found: Callable[[], T], patience_s: float | None = None) -> T:
    """Return what `found` returns as soon as it is true; fail when that takes too long."""
    patience = PATIENCE_S if patience_s is None else patience_s
    deadline = time.monotonic() + patience
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited {patience} s, last saw {value!r}"
        time.sleep(0.05)
    return value


def error_code(call: Callable[..., Any], **arguments: Any) -> str | None:
    """Return the code with which AWS refuses the call; None when it doesn't."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


def allow(action: str, resource: str, principal: Any = "*", **condition: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def zipped(source: str | None = None, **files: bytes) -> bytes:
    """Return a zip with our handlers, or with `source` in their place, and more files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        _add(made, "handlers.py", (source or HANDLERS.read_text()).encode())
        for name, content in files.items():
            _add(made, name, content)
    return packed.getvalue()


def zipped_with_pillow() -> bytes:
    """Return a zip with our handlers and the Pillow of this interpreter."""
    import PIL

    installed = Path(PIL.__file__).parent
    folders = [installed, *installed.parent.glob("pillow.libs")]
    packed = io.BytesIO(zipped())
    with zipfile.ZipFile(packed, "a") as made:
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    _add(made, str(path.relative_to(installed.parent)), path.read_bytes())
    return packed.getvalue()


def _add(made: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a file that looks the same today and tomorrow."""
    made.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)


@dataclass(frozen=True, slots=True)
class Queue:
    url: str
    arn: str

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    arn: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What an invocation came to."""

    raw: bytes
    error: str | None
    log: str

    @property
    def document(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Aws:
    """One backend: how to get a client of it."""

    name: str
    make_client: Callable[..., Any]
    endpoint: str = ""
    long_poll_s: int = 1
    _clients: dict[str, Any] = field(default_factory=dict)
    _account: str = ""

    def client(self, service: str, **changes: Any) -> Any:
        if changes:
            return self.make_client(service, **changes)
        if service not in self._clients:
            self._clients[service] = self.make_client(service)
        return self._clients[service]

    @property
    def account(self) -> str:
        self._account = self._account or self.client("sts").get_caller_identity()["Account"]
        return self._account

    def bucket(self, **settings: Any) -> str:
        name = unique("bucket")
        self.client("s3").create_bucket(Bucket=name, **settings)
        return name

    def put(self, bucket: str, *keys: str, body: bytes = b"x") -> None:
        for key in keys:
            self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)

    def topic(self) -> str:
        return str(self.client("sns").create_topic(Name=unique("topic"))["TopicArn"])

    def queue(
        self, *, dead_letters: Queue | None = None, receives: int = 3, **attributes: str
    ) -> Queue:
        """Make a queue that every service may send to."""
        sqs, name = self.client("sqs"), unique("queue")
        if dead_letters is not None:
            policy = {"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": receives}
            attributes["RedrivePolicy"] = json.dumps(policy)
        arn = f"arn:aws:sqs:{REGION}:{self.account}:{name}"
        attributes["Policy"] = allow("sqs:SendMessage", arn)
        return Queue(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], arn)

    def send(self, queue: Queue, *bodies: str) -> None:
        for body in bodies:
            self.client("sqs").send_message(QueueUrl=queue.url, MessageBody=body)

    def look(self, queue: Queue, **settings: Any) -> list[dict[str, Any]]:
        """Receive once."""
        wanted = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]}
        answer = self.client("sqs").receive_message(
            QueueUrl=queue.url, MaxNumberOfMessages=10, **{**wanted, **settings}
        )
        return list(answer.get("Messages", []))

    def receive(self, queue: Queue, count: int = 1) -> list[dict[str, Any]]:
        """Receive and delete until there were `count` messages."""
        got: list[dict[str, Any]] = []

        def enough() -> bool:
            for message in self.look(queue, WaitTimeSeconds=self.long_poll_s):
                self.client("sqs").delete_message(
                    QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"]
                )
                got.append(message)
            return len(got) >= count

        until(enough)
        return got

    def depths(self, queue: Queue) -> tuple[int, int, int]:
        """Return how many messages are visible, in flight and delayed."""
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])
        names = ("", "NotVisible", "Delayed")
        visible, flying, delayed = (
            int(found["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names
        )
        return visible, flying, delayed

    def s3_events(self, queue: Queue, count: int = 1) -> list[dict[str, Any]]:
        """Return the S3 records that arrive in the queue, without the test event."""
        records: list[dict[str, Any]] = []

        def enough() -> bool:
            for message in self.look(queue, WaitTimeSeconds=self.long_poll_s):
                self.client("sqs").delete_message(
                    QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"]
                )
                records.extend(json.loads(message["Body"]).get("Records", []))
            return len(records) >= count

        until(enough)
        return records

    def announce(self, bucket: str, queue: Queue, *events: str, **settings: Any) -> None:
        """Have the bucket tell the queue."""
        rule = {"Id": "rule", "QueueArn": queue.arn, "Events": list(events), **settings}
        self.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]}
        )

    def role(self, service: str = "lambda.amazonaws.com") -> str:
        """Make a role that may do everything."""
        name = unique("role")
        trusted = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        trust = {"Version": "2012-10-17", "Statement": [trusted]}
        iam = self.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"][
            "Arn"
        ]
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam.put_role_policy(
            RoleName=name,
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
        )
        return str(arn)


@dataclass
class Lambda:
    """Functions on a backend that runs them."""

    aws: Aws
    role: str
    runtime: str

    @property
    def client(self) -> Any:
        return self.aws.client("lambda")

    def make(self, handler: str = "probe", code: bytes | None = None, **settings: Any) -> Function:
        """Create a function and wait until it is active."""
        name = unique("function")
        variables = settings.pop("variables", {})
        made = self.client.create_function(
            FunctionName=name,
            Handler=f"handlers.{handler}",
            Code={"ZipFile": code or zipped()},
            **{
                "Runtime": self.runtime,
                "Role": self.role,
                "Timeout": 3,
                "MemorySize": 256,
                "Environment": {"Variables": variables},
                **settings,
            },
        )
        self.settled(name)
        return Function(name, made["FunctionArn"])

    def settled(self, name: str) -> dict[str, Any]:
        """Wait until the function is active and its last update through."""

        def configuration() -> dict[str, Any] | None:
            found: dict[str, Any] = self.client.get_function_configuration(FunctionName=name)
            busy = found["State"] == "Pending" or found.get("LastUpdateStatus") == "InProgress"
            return None if busy else found

        return until(configuration) or {}

    def invoke(self, function: Function, payload: Any, **settings: Any) -> Answer:
        import base64

        got = self.client.invoke(
            FunctionName=function.name, Payload=json.dumps(payload).encode(), **settings
        )
        log = base64.b64decode(got.get("LogResult", "")).decode()
        return Answer(got["Payload"].read(), got.get("FunctionError"), log)

    def map(self, queue: Queue, function: Function, **settings: Any) -> str:
        """Map the queue to the function; return the mapping's id when it is enabled."""
        made = self.client.create_event_source_mapping(
            EventSourceArn=queue.arn, FunctionName=function.name, **settings
        )
        self.mapping_is(made["UUID"], "Enabled")
        return str(made["UUID"])

    def mapping_is(self, uuid: str, state: str) -> None:
        until(lambda: self.client.get_event_source_mapping(UUID=uuid)["State"] == state)

    def permit(self, function: Function, service: str, **source: str) -> None:
        self.client.add_permission(
            FunctionName=function.name,
            StatementId=unique("statement"),
            Action="lambda:InvokeFunction",
            Principal=service,
            **source,
        )


@dataclass
class Recorder:
    """A function that keeps every event it gets, and does what the first message says."""

    function: Function
    bucket: str
    aws: Aws

    def events(self, source: str) -> list[dict[str, Any]]:
        """Return what it was given from a source (the name of a queue, topic or bucket), in
        order.
        """
        s3 = self.aws.client("s3")
        found = s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{source}/").get("Contents", [])
        keys = [each["Key"] for each in found]
        return [
            json.loads(s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
            for key in sorted(keys)
        ]

    def bodies(self, queue: Queue) -> list[list[str]]:
        """Return the messages of a queue that it was given, batch by batch."""
        return [
            [record["body"] for record in kept["event"]["Records"]]
            for kept in self.events(queue.name)
        ]


def pairs(count: int) -> Iterator[dict[str, str]]:
    """Yield the entries of a batch of messages with the bodies 0, 1, …"""
    for number in range(count):
        yield {"Id": str(number), "MessageBody": str(number)}
