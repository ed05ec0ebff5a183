"""Message move tasks: SQS empties a dead-letter queue by itself, back to where its messages came
from.

Fault of stock ministack: StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask
don't exist.

AWS's rules: the source must be some queue's dead-letter queue, one active task a source, at most
500 messages a second; a moved message is a new one (id, time sent, count); without a destination
each goes back to the queue that it was buried from, and one that was sent here directly fails the
task; a handle is shown only while a task runs.

A task moves on the event loop, a few messages at a time, each out of one queue and into the other
between two commits of the journal. Tasks themselves are not kept: after a restart of the embedded
cloud, what was not moved is still in the dead-letter queue, and the list of tasks is empty."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id, new_uuid
from ministack.services import sqs

from imgpipe.local.corrections import wake
from imgpipe.local.corrections.sqs_messages import Message, Queue, is_visible, redrive_policy

MAX_RATE = 500
MAX_RESULTS = 10
BURST = 50
"""How many messages move before others get their turn, when no rate is given."""

Data = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Task:
    """One move, running or over."""

    id: str
    source: str
    destination: str | None
    rate: int | None
    to_move: int
    account: str
    started: float = field(default_factory=time.time)
    status: str = "RUNNING"
    moved: int = 0
    reason: str | None = None

    @property
    def handle(self) -> str:
        document = {"taskId": self.id, "sourceArn": self.source}
        return base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()

    def describe(self) -> Data:
        shown = {
            "TaskHandle": self.handle if self.status == "RUNNING" else None,
            "Status": self.status,
            "SourceArn": self.source,
            "DestinationArn": self.destination,
            "MaxNumberOfMessagesPerSecond": self.rate,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "FailureReason": self.reason,
            "StartedTimestamp": int(self.started * 1000),
        }
        return {name: value for name, value in shown.items() if value is not None}


_tasks: dict[str, Task] = {}
_running: set[asyncio.Task[None]] = set()


def sources_of(arn: str) -> list[Queue]:
    """Return the queues whose dead-letter queue this is."""
    return [
        queue
        for queue in sqs._queues.all_values()
        if (policy := redrive_policy(queue)) is not None and policy[0] == arn
    ]


class StoppedError(Exception):
    """The task can't go on; its text is AWS's reason."""


def destination_of(task: Task, message: Message) -> Queue:
    """Return the queue that the message goes to. Raises StoppedError when there is none."""
    origin = task.destination or message.get("sys", {}).get("DeadLetterQueueSourceArn")
    if origin is None:
        raise StoppedError("CouldNotDetermineMessageSource")
    queue = sqs._queue_by_arn(origin)
    if queue is None:
        raise StoppedError("AWS.SimpleQueueService.NonExistentQueue")
    return queue  # type: ignore[no-any-return]


def renewed(message: Message, now: float) -> Message:
    """Return the message as a new one with the same body and attributes."""
    kept = ("body", "md5_body", "md5_attrs", "message_attributes", "group_id", "dedup_id", "seq")
    sys = {
        name: value
        for name, value in message.get("sys", {}).items()
        if name != "DeadLetterQueueSourceArn"
    }
    fresh = {name: message[name] for name in kept if message.get(name) is not None}
    fresh.update(
        id=new_uuid(),
        sent_at=now,
        visible_at=now,
        sys={**sys, "SentTimestamp": str(int(now * 1000))},
    )
    sqs._ensure_msg_fields(fresh)
    return fresh


def move_some(task: Task, most: int) -> int:
    """Move up to `most` messages; return how many. Raises StoppedError."""
    source = sqs._queue_by_arn(task.source)
    if source is None:
        raise StoppedError("AWS.SimpleQueueService.NonExistentQueue")
    now, moved = time.time(), 0
    for message in [each for each in source["messages"] if is_visible(each, now)][:most]:
        destination_of(task, message)["messages"].append(renewed(message, now))
        source["messages"].remove(message)
        moved += 1
        task.moved += 1
    if moved:
        wake.ring()
    return moved


def _waiting(task: Task) -> bool:
    source = sqs._queue_by_arn(task.source)
    now = time.time()
    return source is not None and any(is_visible(each, now) for each in source["messages"])


async def _run(task: Task) -> None:
    step = 1 if task.rate else BURST
    try:
        while task.status == "RUNNING":
            if move_some(task, step) < step or not _waiting(task):
                break
            await asyncio.sleep(1 / task.rate if task.rate else 0)
    except StoppedError as stopped:
        task.status, task.reason = "FAILED", str(stopped)
    task.status = {"RUNNING": "COMPLETED", "CANCELLING": "CANCELLED"}.get(task.status, task.status)


def _missing(parameter: str) -> Exception:
    text = f"The resource that you specified for the {parameter} parameter doesn't exist."
    return sqs._Err("ResourceNotFoundException", text, 404)  # type: ignore[no-any-return]


def _source(data: Data, action: str) -> tuple[str, Queue]:
    arn = str(data.get("SourceArn") or "")
    queue = sqs._queue_by_arn(arn)
    if queue is None:
        raise _missing("SourceArn")
    sqs._enforce_queue_policy(queue, f"sqs:{action}")
    return arn, queue


def _start(data: Data, _url: str) -> Data:
    source, queue = _source(data, "StartMessageMoveTask")
    if not sources_of(source):
        raise sqs._Err(
            "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."
        )
    destination = data.get("DestinationArn")
    if destination and sqs._queue_by_arn(destination) is None:
        raise _missing("DestinationArn")
    rate = data.get("MaxNumberOfMessagesPerSecond")
    if rate is not None and not 1 <= int(rate) <= MAX_RATE:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must "
            "be between 1 and "
            f"{MAX_RATE}, if provided.",
        )
    if any(
        task.source == source and task.status in {"RUNNING", "CANCELLING"}
        for task in _tasks.values()
    ):
        raise sqs._Err(
            "UnsupportedOperation",
            "There is already a task running. Only one active task is allowed for a source queue "
            "arn at a given time.",
        )
    return {
        "TaskHandle": _begin(
            source, destination, int(rate) if rate else None, len(queue["messages"])
        ).handle
    }


def _begin(source: str, destination: str | None, rate: int | None, to_move: int) -> Task:
    task = Task(
        id=new_uuid(),
        source=source,
        destination=destination,
        rate=rate,
        to_move=to_move,
        account=get_account_id(),
    )
    _tasks[task.handle] = task
    runner = asyncio.get_running_loop().create_task(_run(task))
    _running.add(runner)
    runner.add_done_callback(_running.discard)
    return task


def _list(data: Data, _url: str) -> Data:
    source, _ = _source(data, "ListMessageMoveTasks")
    most = int(data.get("MaxResults") or 1)
    if not 1 <= most <= MAX_RESULTS:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {most} for parameter MaxResults is invalid. Reason: Must be 1 to 10.",
        )
    found = sorted(
        (task for task in _tasks.values() if task.source == source), key=lambda task: -task.started
    )
    return {"Results": [task.describe() for task in found[:most]]}


def _cancel(data: Data, _url: str) -> Data:
    task = _tasks.get(str(data.get("TaskHandle") or ""))
    if task is None or task.account != get_account_id():
        raise sqs._Err("ResourceNotFoundException", "Task does not exist.", 404)
    if task.status != "RUNNING":
        raise sqs._Err("UnsupportedOperation", "Only active tasks can be cancelled.")
    task.status = "CANCELLING"
    return {"ApproximateNumberOfMessagesMoved": task.moved}


def install() -> None:
    sqs._HANDLERS.update(
        {
            "StartMessageMoveTask": _start,
            "ListMessageMoveTasks": _list,
            "CancelMessageMoveTask": _cancel,
        }
    )
