"""What happens to the messages of a queue: received, expired, dead-lettered, deleted. Always in
place.

Faults of stock ministack, and AWS's behaviour:
- It deletes by building a new list and assigning it. What another thread appended meanwhile is
  lost, and what another thread deleted comes back. Here a list only ever loses the messages that
  are meant.
- It fills in missing fields of every message at every receive. Here only those that are handed out
  are touched.
- Deleting with the handle of a message that is already gone is an error. AWS answers 200:
  consumers retry deletes.
- `ChangeMessageVisibility` works on a message that is visible again. AWS refuses it.

FIFO queues are received as ministack does it: imgpipe's pipelines have none.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import sqs

from imgpipe.local.corrections import metrics, wake

Queue = dict[str, Any]
Message = dict[str, Any]

HANDLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What our receipt handles look like."""

DEFAULT_RETENTION_S = 345_600


def redrive_policy(queue: Queue) -> tuple[str, int] | None:
    """Return the dead-letter queue's ARN and the number of receives that a message may have, if
    there is a policy.
    """
    try:
        policy = json.loads(queue["attributes"].get("RedrivePolicy") or "null")
        return (
            (str(policy["deadLetterTargetArn"]), int(policy["maxReceiveCount"])) if policy else None
        )
    except (ValueError, KeyError, TypeError):
        return None


def is_visible(message: Message, now: float) -> bool:
    return bool(message["visible_at"] <= now)


def expire(queue: Queue, now: float | None = None) -> None:
    """Drop what is older than the retention period, counted from when it was sent."""
    retention = float(queue["attributes"].get("MessageRetentionPeriod") or DEFAULT_RETENTION_S)
    oldest = (time.time() if now is None else now) - retention
    messages = queue["messages"]
    for message in [each for each in messages if _enqueued(each) <= oldest]:
        messages.remove(message)


def _enqueued(message: Message) -> float:
    return float(message.get("enqueued_at") or message.get("sent_at") or time.time())


def bury(queue: Queue, now: float | None = None) -> None:
    """Move the visible messages that were received often enough to the dead-letter queue."""
    policy = redrive_policy(queue)
    target = sqs._queue_by_arn(policy[0]) if policy else None
    if policy is None or target is None:
        return
    moment = time.time() if now is None else now
    dead = [
        message
        for message in queue["messages"]
        if message.get("receive_count", 0) >= policy[1] and is_visible(message, moment)
    ]
    for message in dead:
        _move_to_grave(queue, target, message, moment)
    if dead:
        wake.ring()


def _move_to_grave(queue: Queue, target: Queue, message: Message, now: float) -> None:
    """A standard queue's dead letter keeps its id, its count and the time that it was sent; a
    FIFO's is dated anew.
    """
    letter = {
        **message,
        "receipt_handle": None,
        "visible_at": now,
        "buried_at": now,
        "sys": {
            "DeadLetterQueueSourceArn": queue["attributes"]["QueueArn"],
            **message.get("sys", {}),
        },
        **({"enqueued_at": now} if target.get("is_fifo") else {}),
    }
    target["messages"].append(letter)
    queue["messages"].remove(message)


def survey(queue: Queue, now: float) -> tuple[list[Message], float | None]:
    """Return the visible messages, and when the next one becomes visible. Drops and buries what is
    due.
    """
    expire(queue, now)
    bury(queue, now)
    visible: list[Message] = []
    later: list[float] = []
    for message in queue["messages"]:
        if is_visible(message, now):
            visible.append(message)
        else:
            later.append(message["visible_at"])
    return visible, min(later, default=None)


def take(queue: Queue, most: int, visibility_s: float, now: float) -> list[Message]:
    """Receive up to `most` visible messages of a standard queue, oldest first."""
    taken: list[Message] = []
    for message in queue["messages"]:
        if len(taken) >= most:
            break
        if is_visible(message, now):
            taken.append(message)
    for message in taken:
        sqs._ensure_msg_fields(message)
        message.update(
            receipt_handle=new_uuid(),
            visible_at=now + visibility_s,
            receive_count=message["receive_count"] + 1,
            first_receive_at=message.get("first_receive_at") or now,
        )
    metrics.count_received(queue, len(taken))
    return taken


def take_fifo(queue: Queue, most: int, visibility_s: float, now: float) -> list[Message]:
    """Receive as a FIFO queue does: a group's messages in order, and none while one is in
    flight.
    """
    taken: list[Message] = list(sqs._collect_fifo(queue, most, visibility_s, now))
    metrics.count_received(queue, len(taken))
    return taken


def give_back(message: Message, at: float) -> None:
    """Undo a receive, as if it had not been: the message is visible from `at` on."""
    message.update(visible_at=at, receive_count=max(0, message["receive_count"] - 1))


def delete(queue: Queue, handles: set[str]) -> None:
    """Delete the messages that were last received under one of the handles. Others are gone
    already.
    """
    messages = queue["messages"]
    gone = [message for message in messages if message.get("receipt_handle") in handles]
    for message in gone:
        messages.remove(message)
    metrics.count_deleted(queue, len(gone))


def _collect(queue: Queue, most: int, visibility_s: int) -> list[Message]:
    receive = take_fifo if queue["is_fifo"] else take
    return receive(queue, most, visibility_s, time.time())


def _check_handle(handle: str) -> None:
    if not handle:
        raise sqs._Err("MissingParameter", "The request must contain the parameter ReceiptHandle.")
    if not HANDLE.fullmatch(handle):
        raise sqs._Err(
            "ReceiptHandleIsInvalid",
            f'The input receipt handle "{handle}" is not a valid receipt handle.',
            404,
        )


def _delete_message(data: dict[str, Any], url: str) -> dict[str, Any]:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:DeleteMessage")
    handle = str(data.get("ReceiptHandle") or "")
    _check_handle(handle)
    delete(queue, {handle})
    return {}


def _delete_batch(data: dict[str, Any], url: str) -> dict[str, Any]:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:DeleteMessage")
    entries = data.get("Entries") or []
    sqs._validate_batch_entries(entries, "DeleteMessageBatchRequestEntry")
    good, bad = _sort_entries(entries)
    delete(queue, {str(entry["ReceiptHandle"]) for entry in good})
    return {"Successful": [{"Id": entry["Id"]} for entry in good], "Failed": bad}


def _sort_entries(
    entries: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    good, bad = [], []
    for entry in entries:
        try:
            _check_handle(str(entry.get("ReceiptHandle") or ""))
        except sqs._Err as error:
            bad.append(_failure(entry, error))
        else:
            good.append(entry)
    return good, bad


def _failure(entry: dict[str, Any], error: Any) -> dict[str, Any]:
    return {
        "Id": entry.get("Id", ""),
        "Code": error.code,
        "Message": error.message,
        "SenderFault": True,
    }


def _change_visibility(data: dict[str, Any], url: str) -> dict[str, Any]:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:ChangeMessageVisibility")
    _hide(queue, data)
    return {}


def _change_visibility_batch(data: dict[str, Any], url: str) -> dict[str, Any]:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:ChangeMessageVisibility")
    entries = data.get("Entries") or []
    sqs._validate_batch_entries(entries, "ChangeMessageVisibilityBatchRequestEntry")
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for entry in entries:
        try:
            _hide(queue, entry)
        except sqs._Err as error:
            bad.append(_failure(entry, error))
        else:
            good.append({"Id": entry["Id"]})
    return {"Successful": good, "Failed": bad}


MAX_VISIBILITY_S = 43_200


def _hide(queue: Queue, order: dict[str, Any]) -> None:
    """Set when a message in flight is visible again, as `order` says."""
    handle, seconds = (
        str(order.get("ReceiptHandle") or ""),
        int(order.get("VisibilityTimeout") or 0),
    )
    _check_handle(handle)
    if not 0 <= seconds <= MAX_VISIBILITY_S:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: "
            "VisibilityTimeout must be an "
            f"integer between 0 and {MAX_VISIBILITY_S}.",
        )
    message = next(
        (each for each in queue["messages"] if each.get("receipt_handle") == handle), None
    )
    if message is None:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not "
            "exist or is not "
            "available for visibility timeout change.",
        )
    now = time.time()
    if is_visible(message, now):
        raise sqs._Err("MessageNotInflight", "The specified message isn't in flight.")
    message["visible_at"] = now + seconds
    wake.ring()


def install() -> None:
    sqs._expire_retained = expire
    sqs._dlq_sweep = bury
    sqs._collect_msgs = _collect
    sqs._delete_messages_for_esm = lambda url, handles: delete(sqs._get_q(url), handles)
    replaced = {
        "DeleteMessage": ("_act_delete_message", _delete_message),
        "DeleteMessageBatch": ("_act_delete_message_batch", _delete_batch),
        "ChangeMessageVisibility": ("_act_change_visibility", _change_visibility),
        "ChangeMessageVisibilityBatch": ("_act_change_visibility_batch", _change_visibility_batch),
    }
    for action, (name, handler) in replaced.items():
        setattr(sqs, name, handler)
        sqs._HANDLERS[action] = handler
