"""What happens to the messages of a queue: received, expired, dead-lettered, deleted. Always in
place.

Faults of stock ministack, and AWS's behaviour:
- It deletes by building a new list and assigning it. What another thread appended meanwhile is
  lost, and what another thread deleted comes back. Here a list only ever loses the messages that
  are meant.
- It fills in missing fields of every message at every receive. Here only those that are handed out
  are touched.

FIFO queues are received as ministack does it: imgpipe's pipelines have none.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import sqs

from imgpipe.local.corrections import metrics, wake

Queue = dict[str, Any]
Message = dict[str, Any]

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


def install() -> None:
    sqs._expire_retained = expire
    sqs._dlq_sweep = bury
    sqs._collect_msgs = _collect
    sqs._delete_messages_for_esm = lambda url, handles: delete(sqs._get_q(url), handles)
