"""A batch on its way from a queue to a function and back: the event, and which messages failed.

Fault of stock ministack: an item failure that names no message of the batch is ignored, so that
the message it meant is deleted unprocessed. AWS's rule: a malformed entry (another key, an empty
or unknown id) fails the whole batch, as does an exception; nothing at all, null or an empty list
means that all is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Message = dict[str, Any]
Record = dict[str, Any]

PARTIAL = "ReportBatchItemFailures"
MAX_EVENT_BYTES = 6 * 1024 * 1024
RECORD_OVERHEAD_BYTES = 1_024
"""What a record weighs beside its message's body."""


def record(message: Message, source_arn: str) -> Record:
    """Return a received message as the function sees it."""
    region, account = source_arn.split(":")[3:5]
    return {
        "messageId": message["id"],
        "receiptHandle": message["receipt_handle"],
        "body": message["body"],
        "attributes": _attributes(message, account),
        "messageAttributes": lambda_svc._sqs_message_attributes_to_camel_case(
            message.get("message_attributes") or {}
        ),
        "md5OfBody": message.get("md5_body") or "",
        "eventSource": "aws:sqs",
        "eventSourceARN": source_arn,
        "awsRegion": region,
    }


def _attributes(message: Message, account: str) -> dict[str, str]:
    system = message.get("sys") or {}
    found = {
        "ApproximateReceiveCount": message["receive_count"],
        "SentTimestamp": int(message["sent_at"] * 1000),
        "SenderId": system.get("SenderId") or account,
        "ApproximateFirstReceiveTimestamp": int(message["first_receive_at"] * 1000),
        "AWSTraceHeader": system.get("AWSTraceHeader"),
        "DeadLetterQueueSourceArn": system.get("DeadLetterQueueSourceArn"),
        "MessageGroupId": message.get("group_id"),
        "MessageDeduplicationId": message.get("dedup_id"),
        "SequenceNumber": message.get("seq"),
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def fitting(messages: Sequence[Message], most: int) -> int:
    """Return how many of the first messages fit into one event."""
    total = 0
    for count, message in enumerate(messages[:most]):
        total += len(message["body"].encode()) + RECORD_OVERHEAD_BYTES
        if total > MAX_EVENT_BYTES and count:
            return count
    return min(most, len(messages))


def wanted(records: list[Record], mapping: dict[str, Any]) -> set[str]:
    """Return the ids of the records that pass the mapping's filters. The others are deleted
    unseen.
    """
    return {each["messageId"] for each in lambda_svc._apply_filter_criteria(records, mapping)}


def failed(answer: Any, ids: Iterable[str], response_types: Iterable[str]) -> set[str]:
    """Return the ids of the messages that a successful invocation reports as failed."""
    everything = set(ids)
    if PARTIAL not in response_types:
        return set()
    document = _document(answer)
    if document is None:
        return set()
    if not isinstance(document, dict):
        return everything
    named = document.get("batchItemFailures")
    if not named:
        return set()
    if not isinstance(named, list):
        return everything
    found = {str(item.get("itemIdentifier")) if isinstance(item, dict) else "" for item in named}
    return everything if found - everything else found


def _document(answer: Any) -> Any:
    """Return what the function returned. Its runtime hands over JSON or what JSON stands for."""
    if isinstance(answer, bytes):
        answer = answer.decode(errors="replace")
    if not isinstance(answer, str):
        return answer
    try:
        return json.loads(answer) if answer else None
    except ValueError:
        return answer
