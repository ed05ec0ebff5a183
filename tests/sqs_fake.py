# ruff: noqa: N803 - arguments are called as boto3 calls them
"""SQS in memory, with a clock of its own: what a reader of queues can rely on, and no more.

A received message is hidden for its visibility, then comes back. Nothing here is approximate: tests of what a reader
does with approximations give `claims` of their own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Stored:
    id: str
    body: str
    attributes: Mapping[str, Any]
    sent_ms: int
    visible_at: float = 0.0
    receives: int = 0
    receipt: str = ""


@dataclass
class FakeSqs:
    """Queues by URL. `now` moves only when the test moves it."""

    now: float = 0.0
    queues: dict[str, list[Stored]] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._lock = RLock()

        class Exceptions:
            pass

        self.exceptions = Exceptions()
        self.exceptions.ClientError = ClientError  # type: ignore[attr-defined]

    def put(
        self, url: str, body: str, *, letter_id: str = "", sent_ms: int = 1_000, **words: str
    ) -> str:
        """Place a message as a service would, attributes as text."""
        with self._lock:
            identifier = letter_id or f"m{next(self._ids)}"
            attributes = {
                name: {"DataType": "String", "StringValue": text} for name, text in words.items()
            }
            self.queues.setdefault(url, []).append(Stored(identifier, body, attributes, sent_ms))
            return identifier

    def bodies(self, url: str) -> list[str]:
        return [message.body for message in self.queues.get(url, [])]

    def send_message(
        self, *, QueueUrl: str, MessageBody: str, MessageAttributes: Any = None
    ) -> Any:
        with self._lock:
            stored = Stored(
                f"m{next(self._ids)}", MessageBody, MessageAttributes or {}, int(self.now * 1000)
            )
            self.queues.setdefault(QueueUrl, []).append(stored)
            return {"MessageId": stored.id}

    def receive_message(
        self,
        *,
        QueueUrl: str,
        MaxNumberOfMessages: int,
        VisibilityTimeout: int,
        **_: Any,
    ) -> Any:
        with self._lock:
            seen = [it for it in self.queues.get(QueueUrl, []) if it.visible_at <= self.now]
            for message in seen[:MaxNumberOfMessages]:
                message.visible_at = self.now + VisibilityTimeout
                message.receives += 1
                message.receipt = f"{message.id}/{message.receives}"
            return {"Messages": [self._received(message) for message in seen[:MaxNumberOfMessages]]}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> Any:
        with self._lock:
            identifier = ReceiptHandle.partition("/")[0]
            kept = [message for message in self.queues[QueueUrl] if message.id != identifier]
            self.queues[QueueUrl] = kept

    def change_message_visibility_batch(
        self, *, QueueUrl: str, Entries: list[dict[str, Any]]
    ) -> Any:
        with self._lock:
            for entry in Entries:
                for message in self.queues.get(QueueUrl, []):
                    if message.receipt == entry["ReceiptHandle"]:
                        message.visible_at = self.now + entry["VisibilityTimeout"]
            return {"Successful": Entries}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> Any:
        with self._lock:
            visible = sum(it.visible_at <= self.now for it in self.queues.get(QueueUrl, []))
            count = self.claims.get(QueueUrl, visible)
            return {
                "Attributes": {
                    name: str(count if name.endswith("OfMessages") else 0)
                    for name in AttributeNames
                }
            }

    def _received(self, message: Stored) -> dict[str, Any]:
        return {
            "MessageId": message.id,
            "ReceiptHandle": message.receipt,
            "Body": message.body,
            "Attributes": {
                "SentTimestamp": str(message.sent_ms),
                "ApproximateReceiveCount": str(message.receives),
            },
            "MessageAttributes": message.attributes,
        }
