"""The only place in the runtime that talks to AWS: objects, messages and rows, in the pipeline's
own terms.

Clients are made when first needed, from one botocore session a process: loading a service's model
costs tens of milliseconds, and a function that only reads a queue's message shouldn't pay for
DynamoDB. boto3 itself isn't imported: botocore does all that is needed here, sooner.

`tests/fakes.py` has the same methods over dictionaries, for tests of everything above.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from imgpipe.runtime import forms
from imgpipe.runtime.errors import Transient
from imgpipe.runtime.log import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONNECT_S, READ_S = 3, 20
"""How long a call may wait for a connection, and for each next part of an answer, before it counts as failed."""
SEND_BATCH = 10
DELETE_BATCH = 1000
MESSAGE_BYTES = 262_144
"""Kept below the oldest limit of SQS and SNS for a whole batch, which emulators and small queues
still have.
"""
MAX_LABELS = 20
MIN_CONFIDENCE = 70.0
"""Percent. Rekognition's own default is 55, where it errs often."""
_UNREADABLE = frozenset({"InvalidImageFormatException", "ImageTooLargeException"})
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound", "MethodNotAllowed", "405"})


class Source(Protocol):
    """An object that was opened for reading: its facts are known, its bytes aren't read yet."""

    @property
    def version_id(self) -> str | None: ...
    @property
    def etag(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def uploaded_at(self) -> str: ...
    def head(self, count: int) -> bytes:
        """Return the first `count` bytes; `read` returns them again. Raises Transient when the stream breaks."""
        ...

    def read(self) -> bytes:
        """Return all `size` bytes. Raises Transient when the stream ends early or breaks."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent to a queue."""

    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Label:
    """Something that a model recognised, and how sure it is in percent."""

    name: str
    confidence: float


class Store(Protocol):
    """What the runtime needs of a cloud. Every method raises some exception when it didn't work."""

    def open(self, bucket: str, key: str) -> Source | None:
        """Open the current object; None when there is none."""
        ...

    def exists(self, bucket: str, key: str) -> bool: ...
    def version(self, bucket: str, key: str) -> str | None:
        """Return the id of the current version; None if there is none, or the bucket keeps no versions."""
        ...

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None: ...
    def delete(self, bucket: str, keys: Sequence[str]) -> None: ...
    def send(self, queue_url: str, messages: Sequence[Outgoing]) -> None:
        """Send all messages, in as few calls as possible."""
        ...

    def hide(self, queue_url: str, pauses_s: Mapping[str, int]) -> None:
        """Let each message, named by its receipt, come back after so many seconds.

        A receipt that is no longer good is passed over: its message comes back by itself.
        """
        ...

    def metadata(self, bucket: str, key: str) -> dict[str, str]:
        """Return the metadata that an object was uploaded with; none if it is gone."""
        ...

    def link(self, bucket: str, key: str, life_s: int) -> str:
        """Return an address that gives the object to whoever has it, for so long at most: it also ends
        with the credentials that it was made with.
        """
        ...

    def form(
        self, bucket: str, key: str, content_type: str, max_bytes: int, life_s: int
    ) -> tuple[str, dict[str, str]]:
        """Return where to post one object of this key and type, not empty and not larger, and the fields to
        send before it.
        """
        ...

    def publish(
        self,
        topic_arn: str,
        message: str,
        attributes: Mapping[str, str],
        subject: str = "",
        *,
        by_protocol: bool = False,
    ) -> None:
        """Publish a message; `by_protocol`: it is JSON with a text for each kind of subscriber."""
        ...

    def labels(self, image: bytes) -> list[Label]:
        """Return what a model recognises in a JPEG, the surest first; nothing if it can't read it."""
        ...

    def get_item(self, table: str, pk: str, sk: str) -> dict[str, Any] | None: ...
    def put_item(self, table: str, item: Mapping[str, Any], *, rev: int | None) -> bool:
        """Write `item` if the stored one has revision `rev` (None:

        if there is none). False when it hasn't.
        """
        ...


class AwsSource:
    """The answer to a GetObject. The headers are in; the body streams when asked for."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self._body = answer["Body"]
        version = answer.get("VersionId")
        self.version_id: str | None = None if version in (None, "null") else str(version)
        self.etag = str(answer.get("ETag", "")).strip('"')
        self.size = int(answer["ContentLength"])
        self.uploaded_at = iso(answer["LastModified"])
        self._head = b""

    def head(self, count: int) -> bytes:
        missing = min(count, self.size) - len(self._head)
        if missing > 0:
            self._head += self._taken(missing)
        return self._head[:count]

    def _taken(self, count: int | None) -> bytes:
        try:
            data: bytes = self._body.read(count) if count else self._body.read()
        except Exception as error:
            raise Transient(f"the object's body broke off: {error}") from error
        return data

    def read(self) -> bytes:
        rest = self._taken(None)
        data = self._head + rest if self._head else rest
        if len(data) != self.size:
            raise Transient(f"the object's body ended after {len(data)} of {self.size} bytes")
        return data

    def close(self) -> None:
        self._body.close()


class AwsStore:
    """The store on AWS, or on whatever answers at AWS_ENDPOINT_URL:

    botocore reads that by itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return the SDK's client for `service`, made when it is first asked for."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def _make(self, service: str, **more: Any) -> Any:
        from botocore.config import Config
        from botocore.session import Session

        self._session = self._session or Session()
        return self._session.create_client(
            service,
            region_name=os.environ.get("AWS_REGION"),
            config=Config(
                retries={"mode": "standard", "total_max_attempts": 4},
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
                max_pool_connections=10,
                **more,
            ),
        )

    def open(self, bucket: str, key: str) -> AwsSource | None:
        try:
            return AwsSource(self.client("s3").get_object(Bucket=bucket, Key=key))
        except Exception as error:
            if _code(error) in _GONE:
                return None
            raise

    def exists(self, bucket: str, key: str) -> bool:
        try:
            self.client("s3").head_object(Bucket=bucket, Key=key)
        except Exception as error:
            if _code(error) in _GONE:
                return False
            raise
        return True

    def version(self, bucket: str, key: str) -> str | None:
        try:
            answer = self.client("s3").head_object(Bucket=bucket, Key=key)
        except Exception as error:
            if _code(error) in _GONE:
                return None
            raise
        return None if answer.get("VersionId") == "null" else answer.get("VersionId")

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), DELETE_BATCH):
            some = [{"Key": key} for key in keys[start : start + DELETE_BATCH]]
            answer = self.client("s3").delete_objects(
                Bucket=bucket, Delete={"Objects": some, "Quiet": True}
            )
            if answer.get("Errors"):
                raise Transient(
                    f"{len(answer['Errors'])} objects were not deleted: {answer['Errors'][0]}"
                )

    def send(self, queue_url: str, messages: Sequence[Outgoing]) -> None:
        for batch in batches(messages):
            entries = [_entry(str(number), message) for number, message in enumerate(batch)]
            answer = self.client("sqs").send_message_batch(QueueUrl=queue_url, Entries=entries)
            if answer.get("Failed"):
                raise Transient(
                    f"{len(answer['Failed'])} messages were not sent: {answer['Failed'][0]}"
                )

    def hide(self, queue_url: str, pauses_s: Mapping[str, int]) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": pause_s}
            for number, (receipt, pause_s) in enumerate(pauses_s.items())
        ]
        for start in range(0, len(entries), SEND_BATCH):
            self.client("sqs").change_message_visibility_batch(
                QueueUrl=queue_url, Entries=entries[start : start + SEND_BATCH]
            )

    def metadata(self, bucket: str, key: str) -> dict[str, str]:
        try:
            answer = self.client("s3").head_object(Bucket=bucket, Key=key)
        except Exception as error:
            if _code(error) in _GONE:
                return {}
            raise
        return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}

    def link(self, bucket: str, key: str, life_s: int) -> str:
        url: str = self._signer().generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=life_s
        )
        return url

    def form(
        self, bucket: str, key: str, content_type: str, max_bytes: int, life_s: int
    ) -> tuple[str, dict[str, str]]:
        # The status also asks S3 for an answer that names the object: its key and its ETag.
        fixed = {"Content-Type": content_type, "success_action_status": "201"}
        return forms.signed(self._signer(), bucket, key, fixed, max_bytes, life_s)

    def _signer(self) -> Any:
        """Return the client that signs: its addresses carry the Region, and SigV4, which boto3 wouldn't choose."""
        style = "path" if os.environ.get("AWS_ENDPOINT_URL") else "virtual"
        with self._lock:
            if "signer" not in self._clients:
                more = {"signature_version": "s3v4", "s3": {"addressing_style": style}}
                self._clients["signer"] = self._make("s3", **more)
            return self._clients["signer"]

    def publish(
        self,
        topic_arn: str,
        message: str,
        attributes: Mapping[str, str],
        subject: str = "",
        *,
        by_protocol: bool = False,
    ) -> None:
        extra = {"Subject": subject} if subject else {}
        extra |= {"MessageStructure": "json"} if by_protocol else {}
        self.client("sns").publish(
            TopicArn=topic_arn, Message=message, MessageAttributes=_attributes(attributes), **extra
        )

    def labels(self, image: bytes) -> list[Label]:
        try:
            answer = self.client("rekognition").detect_labels(
                Image={"Bytes": image}, MaxLabels=MAX_LABELS, MinConfidence=MIN_CONFIDENCE
            )
        except Exception as error:
            if _code(error) in _UNREADABLE:
                return []
            raise
        return [
            Label(str(label["Name"]), float(label["Confidence"]))
            for label in answer.get("Labels", ())
        ]

    def get_item(self, table: str, pk: str, sk: str) -> dict[str, Any] | None:
        answer = self.client("dynamodb").get_item(
            TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def put_item(self, table: str, item: Mapping[str, Any], *, rev: int | None) -> bool:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if rev is not None:
            condition = {
                "ConditionExpression": "#rev = :rev",
                "ExpressionAttributeNames": {"#rev": "rev"},
                "ExpressionAttributeValues": {":rev": {"N": str(rev)}},
            }
        try:
            self.client("dynamodb").put_item(TableName=table, Item=dict(item), **condition)
        except Exception as error:
            if _code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True


def batches(messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """Group messages so that each group is one call: at most ten, and within the size of a call."""
    groups: list[list[Outgoing]] = []
    room = 0
    for message in messages:
        size = len(message.body.encode()) + sum(
            len(name) + len(value.encode()) + 10 for name, value in message.attributes.items()
        )
        if not groups or len(groups[-1]) == SEND_BATCH or size > room:
            groups.append([])
            room = MESSAGE_BYTES
        groups[-1].append(message)
        room -= size
    return groups


def _entry(identifier: str, message: Outgoing) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": identifier, "MessageBody": message.body}
    if message.attributes:
        entry["MessageAttributes"] = _attributes(message.attributes)
    return entry


def _attributes(given: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return message attributes; empty ones are left out, because AWS refuses them."""
    return {
        name: {"DataType": "String", "StringValue": value} for name, value in given.items() if value
    }


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


_shared: list[AwsStore] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.clear)  # a connection isn't for two processes


def shared() -> AwsStore:
    """Return this process's store: a warm function keeps its connections."""
    if not _shared:
        _shared.append(AwsStore())
    return _shared[0]
