"""One decoder for every envelope in which a change of an object can arrive.

    S3 -> Lambda                  {"Records": [{"eventSource": "aws:s3", …}]}
    S3 -> SNS -> Lambda           {"Records": [{"Sns": {"Message": "<S3>"}, …}]}
    S3 -> SQS -> Lambda           {"Records": [{"eventSource": "aws:sqs", "body": "<S3>"}]}
    S3 -> SNS -> SQS -> Lambda    the body is an SNS envelope or, delivered raw, the S3 document
    S3 -> EventBridge (-> SQS)    {"source": "aws.s3", "detail": …}
    a failed invocation's record  {"requestPayload": <any of the above>, …}
    s3:TestEvent                  no change at all

`messages` splits an invocation into what is acknowledged one by one; `changes` reads the changes in
one of them. Both are pure. What a change means, and whether it still holds, is for the steps to
find out: an event is only a hint.

Keys: S3's own notifications carry them form-encoded (`+` is a space). EventBridge's arrive as they
are, by what evidence there is; decoding those would destroy a key with a `+` or `%` in it, so they
are left alone and the other spelling is kept in `alternative_key`, for a reader that finds no
object under the first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote_plus

from imgpipe.runtime.errors import Malformed

Kind = Literal["created", "removed", "restored", "tagged", "other"]
MAX_DEPTH = 6
"""Envelopes within envelopes. Four is the most that any route makes; a message can claim more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A hint that the object at `key` changed. `sequencer` orders the changes of one key."""

    kind: Kind
    name: str  # S3's own name, such as ObjectCreated:Put
    bucket: str
    key: str
    sequencer: str = ""
    version_id: str | None = None
    etag: str = ""
    size: int | None = None
    at: str = ""
    alternative_key: str | None = None
    record: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is acknowledged as one: an SQS message, or a whole direct invocation's record.

    `queued` messages come back by themselves when they fail, `receives` times so far; a direct one
    fails with its invocation, which Lambda tries three times in all.
    """

    id: str
    body: str
    queued: bool = False
    receives: int = 1
    sent_at: str = ""  # ISO 8601, when the queue or topic took it
    receipt: str = ""  # what SQS wants to hear when a queued message is to come back
    attributes: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises Malformed."""
        return _parse(self.body)


def messages(event: dict[str, Any], request_id: str) -> tuple[Message, ...]:
    """Split the event of one invocation into messages."""
    records = event.get("Records")
    if (
        isinstance(records, list)
        and records
        and all(isinstance(record, dict) for record in records)
    ):
        if all(record.get("eventSource") == "aws:sqs" for record in records):
            return tuple(_from_queue(record) for record in records)
        if all(record.get("EventSource") == "aws:sns" for record in records):
            return tuple(_from_topic(record) for record in records)
    return (Message(id=request_id, body=json.dumps(event)),)


def changes(document: dict[str, Any], depth: int = 0) -> tuple[Change, ...]:
    """Return the changes that `document` tells of, out of however many envelopes.

    Empty for S3's test event and for an empty list of records. Raises Malformed for anything else
    that holds none.
    """
    if depth > MAX_DEPTH:
        raise Malformed("too many envelopes")
    if document.get("Event") == "s3:TestEvent":
        return ()
    if isinstance(document.get("Records"), list):
        return tuple(
            change for record in document["Records"] for change in _of_record(record, depth)
        )
    if document.get("source") == "aws.s3" and isinstance(document.get("detail"), dict):
        return (_of_eventbridge(document),)
    inner = _inner(document)
    if inner is None:
        raise Malformed(f"no change of an object in a message with {sorted(document)[:8]}")
    return changes(inner, depth + 1)


def opened(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a topic published, out of the envelope in which a queue got it; anything else as it is."""
    for _ in range(MAX_DEPTH):
        inner = _inner(document)
        if inner is None:
            break
        document = inner
    return document


def _inner(document: dict[str, Any]) -> dict[str, Any] | None:
    if isinstance(document.get("Message"), str) and ("TopicArn" in document or "Type" in document):
        return _parse(document["Message"])
    payload = document.get("requestPayload")
    return payload if isinstance(payload, dict) else None


def _parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Malformed(f"a JSON {type(document).__name__}, not an object")
    return document


def _from_queue(record: dict[str, Any]) -> Message:
    system = record.get("attributes") or {}
    sent = record.get("messageAttributes") or {}
    return Message(
        id=str(record["messageId"]),
        body=str(record.get("body", "")),
        queued=True,
        receives=int(system.get("ApproximateReceiveCount", 1)),
        sent_at=_iso_of_ms(system.get("SentTimestamp")),
        receipt=str(record.get("receiptHandle", "")),
        attributes={name: value.get("stringValue", "") for name, value in sent.items()},
    )


def _from_topic(record: dict[str, Any]) -> Message:
    sns = record["Sns"]
    given = sns.get("MessageAttributes") or {}
    return Message(
        id=str(sns.get("MessageId", "")),
        body=str(sns.get("Message", "")),
        sent_at=str(sns.get("Timestamp", "")),
        attributes={name: str(value.get("Value", "")) for name, value in given.items()},
    )


def _iso_of_ms(text: str | None) -> str:
    from datetime import UTC, datetime

    from imgpipe.runtime.log import iso

    return iso(datetime.fromtimestamp(int(text) / 1000, UTC)) if text else ""


def _of_record(record: Any, depth: int) -> tuple[Change, ...]:
    if not isinstance(record, dict):
        raise Malformed(f"a record that is a {type(record).__name__}")
    if isinstance(record.get("s3"), dict):
        return (_of_s3(record),)
    if isinstance(record.get("Sns"), dict):
        return changes(_parse(str(record["Sns"].get("Message", ""))), depth + 1)
    if "body" in record:
        return changes(_parse(str(record["body"])), depth + 1)
    raise Malformed(f"a record with {sorted(record)[:8]}")


def _of_s3(record: dict[str, Any]) -> Change:
    try:
        bucket, thing = record["s3"]["bucket"]["name"], record["s3"]["object"]
        key = unquote_plus(thing["key"])
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"an S3 record without {error}") from error
    name = str(record.get("eventName", "")).removeprefix("s3:")
    return Change(
        kind=_kind(name, key, thing.get("size")),
        name=name,
        bucket=bucket,
        key=key,
        sequencer=str(thing.get("sequencer") or ""),
        version_id=_version(thing.get("versionId")),
        etag=str(thing.get("eTag") or ""),
        size=thing.get("size"),
        at=str(record.get("eventTime", "")),
        record=record,
    )


_S3_KINDS: dict[str, Kind] = {
    "ObjectCreated:": "created",
    "ObjectRemoved:": "removed",
    "LifecycleExpiration:": "removed",
    "ObjectRestore:Completed": "restored",
    "ObjectTagging:": "tagged",
}


def _kind(name: str, key: str, size: Any) -> Kind:
    if key.endswith("/") and not size:
        return "other"  # what S3's console makes of a new folder
    found = next((kind for start, kind in _S3_KINDS.items() if name.startswith(start)), None)
    return found or "other"


def _version(given: Any) -> str | None:
    return None if given in (None, "", "null") else str(given)


_EVENTBRIDGE_KINDS: dict[str, Kind] = {
    "Object Created": "created",
    "Object Deleted": "removed",
    "Object Restore Completed": "restored",
    "Object Tags Added": "tagged",
    "Object Tags Deleted": "tagged",
}


def _of_eventbridge(document: dict[str, Any]) -> Change:
    try:
        detail = document["detail"]
        bucket, thing = detail["bucket"]["name"], detail["object"]
        key = str(thing["key"])
    except (KeyError, TypeError) as error:
        raise Malformed(f"an EventBridge event without {error}") from error
    name, decoded = str(document.get("detail-type", "")), unquote_plus(key)
    return Change(
        kind=_EVENTBRIDGE_KINDS.get(name, "other"),
        name=name,
        bucket=bucket,
        key=key,
        sequencer=str(thing.get("sequencer") or ""),
        version_id=_version(thing.get("version-id")),
        etag=str(thing.get("etag") or thing.get("eTag") or ""),
        size=thing.get("size"),
        at=str(document.get("time", "")),
        alternative_key=decoded if decoded != key else None,
        record=document,
    )
