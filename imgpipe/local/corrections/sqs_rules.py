"""What SQS refuses: names, attributes, redrive policies and messages over the limits.

Faults of stock ministack: a RedrivePolicy may name a dead-letter queue that denies it
(`RedriveAllowPolicy` is stored and never read); unknown attributes and names of any length are
taken; message attributes don't count in a message's size; ListDeadLetterSourceQueues doesn't
exist; a queue made twice with other attributes is found equal when the first one had left them
out; new queues don't show that SQS encrypts them.

Left out on purpose: AWS blocks the name of a deleted queue for 60 s and a second purge within 60
s. Here `down` and `up` may follow each other at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ministack.services import sqs

from imgpipe.local.corrections import metrics
from imgpipe.local.corrections.sqs_moves import sources_of

if TYPE_CHECKING:
    from imgpipe.local.corrections.sqs_messages import Queue

Data = dict[str, Any]
Stock = Callable[[Data, str], Data]

NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|(?=.{1,80}$)[A-Za-z0-9_-]+\.fifo")
SETTABLE = frozenset(
    [
        "DelaySeconds",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "Policy",
        "ReceiveMessageWaitTimeSeconds",
        "VisibilityTimeout",
        "RedrivePolicy",
        "RedriveAllowPolicy",
        "KmsMasterKeyId",
        "KmsDataKeyReusePeriodSeconds",
        "SqsManagedSseEnabled",
        "FifoQueue",
        "ContentBasedDeduplication",
        "DeduplicationScope",
        "FifoThroughputLimit",
    ]
)
MAX_DELAY_S = 900
MAX_ATTRIBUTES = 10
MAX_RECEIVES = 1_000
MAX_ALLOWED_SOURCES = 10
MAX_BATCH_BYTES = 1_048_576
DEFAULTS = {"SqsManagedSseEnabled": "true"}
"""What AWS sets on every new queue and stock ministack doesn't."""


def _invalid(value: Any, parameter: str, reason: str) -> Exception:
    return sqs._Err(  # type: ignore[no-any-return]
        "InvalidParameterValue",
        f"Value {value} for parameter {parameter} is invalid. Reason: {reason}",
    )


def check_redrive_policy(text: str) -> None:
    """Raise AWS's error unless the policy names a queue of this account and Region, and a number
    of receives.
    """
    policy = _document(text, "RedrivePolicy")
    target = policy.get("deadLetterTargetArn")
    if not isinstance(target, str) or "maxReceiveCount" not in policy:
        raise _invalid(
            text, "RedrivePolicy", "Redrive policy does not contain mandatory attribute."
        )
    try:
        receives = int(policy["maxReceiveCount"])
    except (TypeError, ValueError):
        receives = 0
    if not 1 <= receives <= MAX_RECEIVES:
        raise _invalid(
            text,
            "RedrivePolicy",
            f"Invalid value for maxReceiveCount: {policy['maxReceiveCount']}, valid values are "
            "from 1 to "
            f"{MAX_RECEIVES} both inclusive.",
        )
    if sqs._queue_by_arn(target) is None:
        raise _invalid(text, "RedrivePolicy", "Dead letter target does not exist.")


def _document(text: str, parameter: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _invalid(text, parameter, "Invalid JSON.")
    return document


def check_redrive_allowed(text: str, source_arn: str) -> None:
    """Raise AWS's error if the dead-letter queue that the policy names doesn't take this source."""
    target = sqs._queue_by_arn(json.loads(text)["deadLetterTargetArn"])
    allow = json.loads(target["attributes"].get("RedriveAllowPolicy") or "{}")
    permission = allow.get("redrivePermission", "allowAll")
    if permission == "denyAll" or (
        permission == "byQueue" and source_arn not in allow.get("sourceQueueArns", [])
    ):
        raise _invalid(
            text, "RedrivePolicy", "Dead letter target does not allow this source queue."
        )


def check_redrive_allow_policy(text: str) -> None:
    policy = _document(text, "RedriveAllowPolicy")
    permission, sources = policy.get("redrivePermission"), policy.get("sourceQueueArns")
    if permission not in {"allowAll", "denyAll", "byQueue"}:
        raise _invalid(
            text, "RedriveAllowPolicy", "Amazon SQS can't create the redrive allow policy."
        )
    if (permission == "byQueue") != bool(sources) or len(sources or []) > MAX_ALLOWED_SOURCES:
        raise _invalid(
            text,
            "RedriveAllowPolicy",
            f"sourceQueueArns must name 1 to {MAX_ALLOWED_SOURCES} queues with byQueue, and none "
            "without it.",
        )


def check_attributes(attributes: dict[str, Any], arn: str) -> None:
    """Raise AWS's error for the first attribute that a queue of this ARN can't have."""
    for name in attributes:
        if name not in SETTABLE:
            raise sqs._Err("InvalidAttributeName", f"Unknown Attribute {name}.")
    policy = str(attributes.get("RedrivePolicy") or "")
    if policy:
        check_redrive_policy(policy)
        check_redrive_allowed(policy, arn)
    allow = str(attributes.get("RedriveAllowPolicy") or "")
    if allow:
        check_redrive_allow_policy(allow)


def _create_queue(data: Data, url: str) -> Data:
    name = str(data.get("QueueName") or "")
    if name and not NAME.fullmatch(name):
        raise sqs._Err(
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )
    attributes = data.get("Attributes") or {}
    arn = f"arn:aws:sqs:{sqs.get_region()}:{sqs.get_account_id()}:{name}"
    check_attributes(attributes, arn)
    existing = sqs._queue_by_arn(arn)
    if existing is None:
        return _stock_create_queue({**data, "Attributes": {**DEFAULTS, **attributes}}, url)
    for key, value in attributes.items():
        if str(existing["attributes"].get(key, "")) != str(value):
            raise sqs._Err(
                "QueueNameExists",
                "A queue already exists with the same name and a different value for attribute "
                f"{key}",
            )
    return {"QueueUrl": existing["url"]}


def _set_attributes(data: Data, url: str) -> Data:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:SetQueueAttributes")
    check_attributes(data.get("Attributes") or {}, queue["attributes"]["QueueArn"])
    return _stock_set_attributes(data, url)


READABLE = SETTABLE | {"All", "QueueArn", "CreatedTimestamp", "LastModifiedTimestamp"}


def _get_attributes(data: Data, url: str) -> Data:
    """Return the attributes that are asked for by name; without names, none."""
    names = [str(name) for name in data.get("AttributeNames") or []]
    for name in names:
        if name not in READABLE and not name.startswith("ApproximateNumberOfMessages"):
            raise sqs._Err("InvalidAttributeName", f"Unknown Attribute {name}.")
    found = _stock_get_attributes(data, url)
    return found if names else {}


def size(body: str, attributes: dict[str, Any] | None) -> int:
    """Return the bytes that SQS counts: the body, and the name, type and value of each
    attribute.
    """
    total = len(body.encode())
    for name, value in (attributes or {}).items():
        total += len(name.encode()) + len(str(value.get("DataType", "")).encode())
        total += len(str(value.get("StringValue") or value.get("BinaryValue") or "").encode())
    return total


def _check_message(queue: Queue, data: Data) -> None:
    attributes = data.get("MessageAttributes") or {}
    if len(attributes) > MAX_ATTRIBUTES:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10].",
        )
    delay = data.get("DelaySeconds")
    if delay is not None and not 0 <= int(delay) <= MAX_DELAY_S:
        raise _invalid(delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
    most = int(queue["attributes"].get("MaximumMessageSize") or MAX_BATCH_BYTES)
    if size(str(data.get("MessageBody") or ""), attributes) > most:
        raise sqs._Err(
            "InvalidParameterValue",
            f"One or more parameters are invalid. Reason: Message must be shorter than {most} "
            "bytes.",
        )


def _send(data: Data, url: str) -> Data:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:SendMessage")
    _check_message(queue, data)
    answer = _stock_send(data, url)
    metrics.count_sent(queue)
    return answer


def _send_batch(data: Data, url: str) -> Data:
    total = sum(
        size(str(entry.get("MessageBody") or ""), entry.get("MessageAttributes"))
        for entry in data.get("Entries") or []
    )
    if total > MAX_BATCH_BYTES:
        raise sqs._Err(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes. You have sent "
            f"{total} bytes.",
        )
    return _stock_send_batch(data, url)


def _list_sources(data: Data, url: str) -> Data:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:ListDeadLetterSourceQueues")
    urls = sorted(source["url"] for source in sources_of(queue["attributes"]["QueueArn"]))
    start = int(data.get("NextToken") or 0)
    most = int(data.get("MaxResults") or 1_000)
    more = {"NextToken": str(start + most)} if start + most < len(urls) else {}
    return {"queueUrls": urls[start : start + most], **more}


_stock_create_queue: Stock = sqs._act_create_queue
_stock_set_attributes: Stock = sqs._act_set_queue_attributes
_stock_get_attributes: Stock = sqs._act_get_queue_attributes
_stock_send: Stock = sqs._act_send_message
_stock_send_batch: Stock = sqs._act_send_message_batch


def install() -> None:
    sqs._validate_redrive_policy = check_redrive_policy
    sqs._act_create_queue = sqs._HANDLERS["CreateQueue"] = _create_queue
    sqs._act_send_message = sqs._HANDLERS["SendMessage"] = _send
    sqs._HANDLERS.update(
        {
            "SetQueueAttributes": _set_attributes,
            "GetQueueAttributes": _get_attributes,
            "SendMessageBatch": _send_batch,
            "ListDeadLetterSourceQueues": _list_sources,
        }
    )
