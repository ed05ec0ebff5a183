"""A cloud in memory for the simulation: versions, queues that hide and repeat, rows with revisions, topics.

Nothing here decides anything: which message is delivered, and which call fails, is the simulation's seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from imgpipe.deploy.graph import Graph
from imgpipe.deploy.resources import AsyncInvoke, Queue, Subscription
from imgpipe.runtime.log import iso
from tests.fakes import s3_record, sns_envelope

BEGIN_S = 1_790_000_000.0
CALLS = 3
"""Lambda calls a function three times with an event before it gives up."""


@dataclass
class Object:
    """A version of an upload. Without data it is a delete marker."""

    id: str
    at: str
    data: bytes | None

    @property
    def etag(self) -> str:
        return f"etag-{(self.data or b'').hex()}"


@dataclass
class Message:
    id: str
    body: str
    attributes: dict[str, str]
    sent_s: float
    visible_s: float
    receives: int = 0

    def record(self) -> dict[str, Any]:
        """Return it as a function gets it."""
        system = {
            "ApproximateReceiveCount": str(self.receives),
            "SentTimestamp": str(int(self.sent_s * 1000)),
        }
        given = {name: {"stringValue": value} for name, value in self.attributes.items()}
        return {
            "messageId": self.id,
            "receiptHandle": self.id,
            "body": self.body,
            "attributes": system,
            "messageAttributes": given,
            "eventSource": "aws:sqs",
        }

    def received(self) -> dict[str, Any]:
        """Return it as ReceiveMessage does."""
        given = {name: {"StringValue": value} for name, value in self.attributes.items()}
        return {
            "MessageId": self.id,
            "Body": self.body,
            "Attributes": {"SentTimestamp": str(int(self.sent_s * 1000))},
            "MessageAttributes": given,
        }


@dataclass
class Invocation:
    """An event that a function is called with, without a queue."""

    function: str
    event: dict[str, Any]
    request_id: str
    calls: int = 0
    busy: bool = False


@dataclass
class Memory:
    """Everything that outlives a function."""

    graph: Graph
    now_s: float = BEGIN_S
    uploads: dict[str, list[Object]] = field(default_factory=dict)
    variants: dict[str, bytes] = field(default_factory=dict)
    stored_s: dict[str, float] = field(default_factory=dict)
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    queues: dict[str, list[Message]] = field(default_factory=dict)
    invocations: list[Invocation] = field(default_factory=list)
    completed: list[dict[str, Any]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    orders: set[tuple[str, str]] = field(default_factory=set)  # every order to delete outputs
    numbers: int = 0

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    @property
    def now(self) -> str:
        return iso(datetime.fromtimestamp(self.now_s, UTC))

    def url(self, name: str) -> str:
        return self.graph.place.queue_url(name)

    def messages(self, url: str) -> list[Message]:
        return self.queues.setdefault(url, [])

    # The uploads bucket

    def upload(self, key: str, data: bytes | None) -> Object:
        """Put a version, or a delete marker, and return it; its event is on its way."""
        number = self.number()
        made = Object(f"v{number}", self.now, data)
        self.uploads.setdefault(key, []).append(made)
        if data is None:
            self._announce("removed", key, number, made, "ObjectRemoved:DeleteMarkerCreated")
        else:
            self._announce("uploaded", key, number, made, "ObjectCreated:Put")
        return made

    def erase(self, key: str) -> Object:
        """Delete the latest version, or delete marker, by its id: the one before it shows again."""
        made = self.uploads[key].pop()
        self._announce("removed", key, self.number(), made, "ObjectRemoved:Delete")
        return made

    def _announce(self, topic: str, key: str, number: int, made: Object, name: str) -> None:
        size = None if made.data is None else len(made.data)
        record = s3_record(
            self.graph.uploads_bucket, key, number=number, size=size, version_id=made.id, name=name
        )
        record["eventTime"] = self.now
        record["s3"]["object"]["eTag"] = made.etag
        self.events.append((self.graph.topics[topic], {"Records": [record]}))

    def current(self, key: str) -> Object | None:
        versions = self.uploads.get(key) or []
        return versions[-1] if versions and versions[-1].data is not None else None

    # Queues and topics

    def send(self, url: str, body: str, attributes: dict[str, str] | None = None) -> None:
        made = Message(f"m{self.number()}", body, attributes or {}, self.now_s, self.now_s)
        self.messages(url).append(made)
        if '"kind":"outputs"' in body:
            self.orders.add((url, body))

    def publish(self, topic: str, document: Any) -> None:
        """Deliver to every queue and function that subscribes to the topic."""
        envelope = {**sns_envelope(document), "MessageId": f"n{self.number()}"}
        for subscription in self.graph.of(Subscription):
            if subscription.topic == topic and subscription.protocol == "sqs":
                self.send(self.url(subscription.endpoint), json.dumps(envelope))
            elif subscription.topic == topic and subscription.protocol == "lambda":
                record = {"EventSource": "aws:sns", "Sns": {**envelope, "MessageAttributes": {}}}
                self.invoke(subscription.endpoint, {"Records": [record]})

    def invoke(self, function: str, event: dict[str, Any]) -> None:
        self.invocations.append(Invocation(function, event, f"r{self.number()}"))

    def visible(self, url: str) -> list[Message]:
        """Return the messages that can be received; those received too often move to the dead letters."""
        queue = next(each for each in self.graph.of(Queue) if self.url(each.name) == url)
        found = []
        for message in list(self.messages(url)):
            if message.visible_s > self.now_s:
                continue
            if queue.dlq and message.receives >= queue.max_receives:
                self.messages(url).remove(message)
                self.messages(self.url(queue.dlq)).append(message)
            else:
                found.append(message)
        return found

    def failed(self, invocation: Invocation) -> None:
        """Call again, or give up into the function's queue of failures."""
        invocation.busy = False
        if invocation.calls < CALLS:
            return
        self.invocations.remove(invocation)
        config = next(
            each for each in self.graph.of(AsyncInvoke) if each.function == invocation.function
        )
        context = {
            "requestId": invocation.request_id,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": CALLS,
        }
        record = {"requestContext": context, "requestPayload": invocation.event}
        self.send(self.url(config.on_failure), json.dumps(record))

    def dead(self) -> set[str]:
        """Return the URLs of the queues that nothing works on by itself."""
        worked = {self.url(branch.queue) for branch in self.graph.branches if branch.queue}
        return {self.url(queue.name) for queue in self.graph.of(Queue)} - worked

    def in_work(self) -> Iterator[tuple[str, int]]:
        """Yield how many messages wait, by queue, dead letters apart; and how many events, by function."""
        dead = self.dead()
        for url, messages in self.queues.items():
            if url not in dead and messages:
                yield url.rpartition("/")[2], len(messages)
        if self.invocations:
            yield "functions", len(self.invocations)


class Source:
    """An upload that was opened."""

    def __init__(self, made: Object) -> None:
        self._data = made.data or b""
        self.version_id: str | None = made.id
        self.etag = made.etag
        self.size = len(self._data)
        self.uploaded_at = made.at

    def head(self, count: int) -> bytes:
        return self._data[:count]

    def read(self) -> bytes:
        return self._data

    def close(self) -> None:
        pass


class MemoryStore:
    """What a function calls, as `runtime.store.Store`; `call` decides about each call."""

    def __init__(self, memory: Memory, call: Any) -> None:
        self._memory, self._call = memory, call

    def open(self, bucket: str, key: str) -> Source | None:
        def do() -> Source | None:
            made = self._memory.current(key)
            return Source(made) if made else None

        found: Source | None = self._call("open", do)
        return found

    def exists(self, bucket: str, key: str) -> bool:
        return bool(self._call("exists", lambda: self._memory.current(key) is not None))

    def version(self, bucket: str, key: str) -> str | None:
        def do() -> str | None:
            made = self._memory.current(key)
            return made.id if made else None

        found: str | None = self._call("version", do)
        return found

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        def do() -> None:
            self._memory.variants[key] = data
            self._memory.stored_s[key] = self._memory.now_s

        self._call("put", do)

    def delete(self, bucket: str, keys: Any) -> None:
        self._call("delete", lambda: [self._memory.variants.pop(key, None) for key in keys])

    def send(self, queue_url: str, messages: Any) -> None:
        def do() -> None:
            for each in messages:
                self._memory.send(queue_url, each.body, dict(each.attributes))

        self._call("send", do)

    def hide(self, queue_url: str, pauses_s: Any) -> None:
        def do() -> None:
            for message in self._memory.messages(queue_url):
                if message.id in pauses_s:
                    message.visible_s = self._memory.now_s + pauses_s[message.id]

        self._call("hide", do)

    def metadata(self, bucket: str, key: str) -> dict[str, str]:
        return {}

    def labels(self, image: bytes) -> list[Any]:
        return []

    def publish(
        self,
        topic_arn: str,
        message: str,
        attributes: Any,
        subject: str = "",
        *,
        by_protocol: bool = False,
    ) -> None:
        def do() -> None:
            topic = topic_arn.rpartition(":")[2]
            if by_protocol:
                self._memory.notices.append(
                    {
                        **json.loads(message),
                        "kind": attributes["kind"],
                        "id": self._memory.number(),
                    }
                )
                return
            self._memory.completed.append(json.loads(message))
            self._memory.publish(topic, json.loads(message))

        self._call("publish", do)

    def get_item(self, table: str, pk: str, sk: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._call(
            "get_item", lambda: self._memory.items.get((pk, sk))
        )
        return found

    def put_item(self, table: str, item: Any, *, rev: int | None) -> bool:
        def do() -> bool:
            where = (item["pk"]["S"], item["sk"]["S"])
            stored = self._memory.items.get(where)
            known = None if stored is None else int(stored["rev"]["N"])
            if known != rev:
                return False
            self._memory.items[where] = dict(item)
            return True

        return bool(self._call("put_item", do))
