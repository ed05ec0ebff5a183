"""A cloud in dictionaries, with the methods of `imgpipe.runtime.store.Store`, for tests of
everything above it.

It keeps what the real one keeps (versions, revisions, the order of messages) and can be told to
fail: `break_on` makes the next calls of a method raise, which is how tests reach the states that a
crash leaves behind.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from imgpipe.runtime.settings import Limits, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgpipe.runtime.store import Label, Outgoing


class BrokenError(Exception):
    """What a broken method raises: an error like any that a cloud can give."""


@dataclass(frozen=True)
class FakeSource:
    data: bytes
    version_id: str | None
    uploaded_at: str = "2026-01-31T12:00:00.000Z"

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def etag(self) -> str:
        return f"etag-{hash(self.data) & 0xFFFF:04x}"

    def head(self, count: int) -> bytes:
        return self.data[:count]

    def read(self) -> bytes:
        return self.data

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Published:
    topic: str
    message: str
    attributes: Mapping[str, str]
    subject: str
    forms: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeStore:
    objects: dict[tuple[str, str], FakeSource] = field(default_factory=dict)
    content_types: dict[tuple[str, str], str] = field(default_factory=dict)
    queues: dict[str, list[Outgoing]] = field(default_factory=lambda: defaultdict(list))
    published: list[Published] = field(default_factory=list)
    given: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)  # metadata
    items: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    labelled: list[Label] = field(default_factory=list)  # what the model recognises in any picture
    shown: list[bytes] = field(default_factory=list)  # the pictures that it was shown
    hidden: dict[str, int] = field(default_factory=dict)  # by receipt, for so many seconds
    calls: list[str] = field(default_factory=list)
    lose_races: bool = False  # every conditional write finds that another was faster
    _breaks: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    # What tests do to it

    def break_on(self, method: str, times: int = 1) -> None:
        """Make the next `times` calls of `method` raise BrokenError."""
        self._breaks[method] += times

    def upload(self, bucket: str, key: str, data: bytes) -> dict[str, Any]:
        """Put a new version and return the S3 record that announces it."""
        number = next(self._numbers)
        self.objects[bucket, key] = FakeSource(data, f"v{number}")
        return s3_record(bucket, key, number=number, size=len(data), version_id=f"v{number}")

    def remove(self, bucket: str, key: str) -> dict[str, Any]:
        """Remove the object and return the S3 record that announces it."""
        number = next(self._numbers)
        self.objects.pop((bucket, key), None)
        name = "ObjectRemoved:DeleteMarkerCreated"
        return s3_record(bucket, key, number=number, name=name, version_id=f"v{number}")

    def take(self, queue_url: str) -> list[dict[str, Any]]:
        """Empty a queue of JSON messages and return them."""
        return [json.loads(message.body) for message in self.queues.pop(queue_url, [])]

    def keys(self, bucket: str) -> set[str]:
        return {key for where, key in self.objects if where == bucket}

    # What the runtime asks of it

    def open(self, bucket: str, key: str) -> FakeSource | None:
        self._called("open")
        return self.objects.get((bucket, key))

    def exists(self, bucket: str, key: str) -> bool:
        self._called("exists")
        return (bucket, key) in self.objects

    def version(self, bucket: str, key: str) -> str | None:
        self._called("version")
        current = self.objects.get((bucket, key))
        return current.version_id if current else None

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        self._called("put")
        self.objects[bucket, key] = FakeSource(data, None)
        self.content_types[bucket, key] = content_type

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        self._called("delete")
        for key in keys:
            self.objects.pop((bucket, key), None)

    def send(self, queue_url: str, messages: Sequence[Outgoing]) -> None:
        self._called(f"send:{queue_url}")
        self.queues[queue_url].extend(messages)

    def hide(self, queue_url: str, pauses_s: Mapping[str, int]) -> None:
        self._called(f"hide:{queue_url}")
        self.hidden.update(pauses_s)

    def metadata(self, bucket: str, key: str) -> dict[str, str]:
        self._called("metadata")
        return self.given.get((bucket, key), {})

    def link(self, bucket: str, key: str, life_s: int) -> str:
        return f"https://{bucket}/{key}?for={life_s}"

    def form(
        self, bucket: str, key: str, content_type: str, max_bytes: int, life_s: int
    ) -> tuple[str, dict[str, str]]:
        said = {"Content-Type": content_type, "most": str(max_bytes), "for": str(life_s)}
        return f"https://{bucket}/", {"key": key, **said}

    def publish(
        self,
        topic_arn: str,
        message: str,
        attributes: Mapping[str, str],
        subject: str = "",
        *,
        by_protocol: bool = False,
    ) -> None:
        self._called(f"publish:{topic_arn}")
        said = {name: value for name, value in attributes.items() if value}
        forms = json.loads(message) if by_protocol else {"default": message}
        self.published.append(Published(topic_arn, forms["default"], said, subject, forms))

    def labels(self, image: bytes) -> list[Label]:
        self._called("labels")
        self.shown.append(image)
        return list(self.labelled)

    def get_item(self, table: str, pk: str, sk: str) -> dict[str, Any] | None:
        self._called("get_item")
        return self.items.get((table, pk, sk))

    def put_item(self, table: str, item: Mapping[str, Any], *, rev: int | None) -> bool:
        self._called("put_item")
        where = (table, item["pk"]["S"], item["sk"]["S"])
        stored = self.items.get(where)
        if self.lose_races:
            return False
        if (stored is None) != (rev is None):
            return False
        if stored is not None and int(stored["rev"]["N"]) != rev:
            return False
        self.items[where] = dict(item)
        return True

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if self._breaks[method]:
            self._breaks[method] -= 1
            raise BrokenError(method)


@dataclass(frozen=True)
class FakeContext:
    aws_request_id: str = "request-1"


def s3_record(
    bucket: str,
    key: str,
    *,
    number: int = 1,
    size: int | None = None,
    version_id: str | None = None,
    name: str = "ObjectCreated:Put",
) -> dict[str, Any]:
    """Return a record as S3 makes it; `number` is its place in the order of events."""
    thing: dict[str, Any] = {"key": quote_plus(key, safe="/"), "sequencer": f"{number:018X}"}
    if size is not None:
        thing |= {"size": size, "eTag": f"etag-{number}"}
    if version_id:
        thing["versionId"] = version_id
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": f"2026-01-31T12:00:{number % 60:02d}.000Z",
        "eventName": name,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": thing},
    }


def s3_event(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def sns_envelope(message: Any) -> dict[str, Any]:
    """Return what a queue gets from a topic that doesn't deliver raw."""
    return {
        "Type": "Notification",
        "MessageId": "sns-1",
        "TopicArn": "arn:aws:sns:eu-west-1:000000000000:uploaded",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(message),
        "Timestamp": "2026-01-31T12:00:00.000Z",
    }


def sns_event(message: Any, message_id: str = "sns-1") -> dict[str, Any]:
    """Return what a function gets that a topic invokes."""
    sns = {**sns_envelope(message), "MessageId": message_id, "MessageAttributes": {}}
    return {"Records": [{"EventVersion": "1.0", "EventSource": "aws:sns", "Sns": sns}]}


def sqs_event(*bodies: Any, receives: int = 1, first: int = 1) -> dict[str, Any]:
    """Return what a function gets from a queue; bodies that aren't text become JSON."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {
                    "ApproximateReceiveCount": str(receives),
                    "SentTimestamp": "1769860800000",
                },
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies, first)
        ]
    }


UPLOADS, VARIANTS, TABLE = "uploads", "variants", "images"

SETTINGS = Settings(
    pipeline="studio",
    environment="test",
    function="images",
    uploads_bucket=UPLOADS,
    variants_bucket=VARIANTS,
    prefix="incoming/",
    table=TABLE,
    results_queue_url="results",
    rejected_queue_url="rejected",
    tidy_queue_url="tidy",
    completed_topic_arn="completed",
    notices_topic_arn="notices",
    settings_hash="s1",
    expected=("sizes",),
    steps={"sizes": {"variants": {"medium": {"width": 80, "format": "jpeg"}}, "hash": "h1"}},
    notices=("uploaded", "completed", "failed"),
    limits=Limits(isolate=False),
)
