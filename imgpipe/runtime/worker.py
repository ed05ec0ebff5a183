"""A long-running poller in Lambda's place: `python -m imgpipe.runtime.worker`, with a function's environment.

It runs the function's own handler (`handler.py` on the path) through `entry`, one message at a time, so that a message
is acknowledged as soon as its work is done. While it works it keeps its messages hidden (a heartbeat), so a worker that
dies gives them back within `HOLD_S`, however long the work takes. SIGTERM ends it: the message in work is
finished, those that it holds besides are given back at once. A lost network is waited out.

What it does is said as JSON lines on stdout, like a function's log; `metrics` lines are in CloudWatch's embedded metric
format, so that the CloudWatch agent makes metrics of them.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from imgpipe.runtime import entry, log
from imgpipe.runtime.settings import Settings, from_environment
from imgpipe.runtime.store import AwsStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOLD_S = 60
"""How long a message stays hidden when the worker that has it dies."""
WAIT_S = 5
"""A long poll. SQS allows 20 s, but a worker that is told to stop waits for its end."""
MOST = 10
"""SQS gives no more at once."""
HELD_S = 2.0
"""How much work a worker takes at a time: others are idle while it holds more than it can do soon."""
LONGEST_REST_S = 30.0
PARENT_VARIABLE = "IMGPIPE_WORKER_PARENT"
METRICS_VARIABLE = "IMGPIPE_WORKER_METRICS_S"
HOLD_VARIABLE = "IMGPIPE_WORKER_HOLD_S"
NAMESPACE = "imgpipe"

Record = dict[str, Any]


class Queue(Protocol):
    """A queue as a worker needs it. Every method raises some exception when it didn't work."""

    def receive(self, most: int) -> list[Record]:
        """Wait for messages and return them in the form that Lambda gives them to a function."""
        ...

    def acknowledge(self, record: Record) -> None: ...
    def hide(self, records: Sequence[Record], seconds: int) -> None:
        """Keep `records` hidden for so long from now; 0 gives them back at once."""
        ...


@dataclass(slots=True)
class Held:
    """The messages that this worker has and keeps hidden. Two threads look at them."""

    _records: dict[str, Record] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, records: Sequence[Record]) -> None:
        with self._lock:
            self._records |= {record["messageId"]: record for record in records}

    def drop(self, record: Record) -> None:
        with self._lock:
            self._records.pop(record["messageId"], None)

    def every(self) -> list[Record]:
        with self._lock:
            return list(self._records.values())


@dataclass(slots=True)
class Tally:
    done: int = 0
    failed: int = 0
    busy_s: float = 0.0

    @property
    def mean_s(self) -> float:
        return self.busy_s / (self.done + self.failed) if self.done + self.failed else 0.0


@dataclass(slots=True)
class Worker:
    """One process's work. `serve` takes an event and returns what Lambda would hear of it."""

    queue: Queue
    serve: Callable[[dict[str, Any], Any], Mapping[str, Any] | None]
    hold_s: int = HOLD_S
    stopping: threading.Event = field(default_factory=threading.Event)
    held: Held = field(default_factory=Held)
    tally: Tally = field(default_factory=Tally)

    def run(self) -> None:
        """Work until told to stop."""
        rest_s = 1.0
        while not self.stopping.is_set():
            try:
                records = self.queue.receive(self._most())
            except Exception as error:  # noqa: BLE001 - whatever keeps it from its queue is waited out
                log.line("unreachable", error=type(error).__name__, message=log.told(error, 500))
                self.stopping.wait(rest_s)
                rest_s = min(LONGEST_REST_S, 2 * rest_s)
            else:
                rest_s = 1.0
                self._work(records)

    def beat(self) -> None:
        """Keep what is held hidden for as long as the process lives. Runs in a thread of its own."""
        while True:
            time.sleep(self.hold_s / 3)
            self._hide(self.held.every(), self.hold_s)

    def _most(self) -> int:
        """Take no more than can be done soon; one, as long as that isn't known."""
        soon = int(HELD_S / self.tally.mean_s) if self.tally.mean_s else 1
        return max(1, min(MOST, soon))

    def _work(self, records: Sequence[Record]) -> None:
        self.held.add(records)
        for record in records:
            if not self.stopping.is_set():
                self._one(record)
        left = self.held.every()
        for record in left:
            self.held.drop(record)
        self._hide(left, 0)

    def _one(self, record: Record) -> None:
        started = time.monotonic()
        try:
            answer = self.serve({"Records": [record]}, _Context(str(uuid.uuid4()))) or {}
            worked = not answer.get("batchItemFailures")
        except Exception as error:  # noqa: BLE001 - the message comes back; `entry` has said why
            log.line("failed", message_id=record["messageId"], error=type(error).__name__)
            worked = False
        self.tally.busy_s += time.monotonic() - started
        self.tally.done += int(worked)
        self.tally.failed += int(not worked)
        self.held.drop(record)
        if worked:
            self._acknowledge(record)

    def _acknowledge(self, record: Record) -> None:
        """Delete a message whose work is done. If that fails it comes again, which does no harm."""
        try:
            self.queue.acknowledge(record)
        except Exception as error:  # noqa: BLE001 - see above
            log.line("unacknowledged", message_id=record["messageId"], error=type(error).__name__)

    def _hide(self, records: Sequence[Record], seconds: int) -> None:
        if not records:
            return
        try:
            self.queue.hide(records, seconds)
        except Exception as error:  # noqa: BLE001 - at worst a message is worked on twice
            log.line("heartbeat", error=type(error).__name__, message=log.told(error, 500))


@dataclass(frozen=True, slots=True)
class _Context:
    """What a handler may ask of Lambda's context. A worker has no deadline."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        return 12 * 3600 * 1000


class SqsQueue:
    """A queue on AWS, or on whatever answers at AWS_ENDPOINT_URL."""

    def __init__(self, url: str, client: Any, hold_s: int = HOLD_S) -> None:
        self._url, self._client, self._hold_s = url, client, hold_s

    def receive(self, most: int) -> list[Record]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=most,
            WaitTimeSeconds=WAIT_S,
            VisibilityTimeout=self._hold_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return [_record(message) for message in answer.get("Messages", ())]

    def acknowledge(self, record: Record) -> None:
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=record["receiptHandle"])

    def hide(self, records: Sequence[Record], seconds: int) -> None:
        for start in range(0, len(records), MOST):
            entries = [
                {
                    "Id": str(number),
                    "ReceiptHandle": record["receiptHandle"],
                    "VisibilityTimeout": seconds,
                }
                for number, record in enumerate(records[start : start + MOST])
            ]
            self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


def _record(message: Mapping[str, Any]) -> Record:
    attributes = message.get("MessageAttributes", {})
    return {
        "eventSource": "aws:sqs",
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {"stringValue": value.get("StringValue"), "dataType": value.get("DataType")}
            for name, value in attributes.items()
        },
    }


def metrics(settings: Settings, tally: Tally) -> dict[str, Any]:
    """Return what was done since the worker began, in CloudWatch's embedded metric format."""
    return log.embedded(
        {
            "Pipeline": settings.pipeline,
            "Environment": settings.environment,
            "Step": settings.function,
        },
        {
            "Done": (tally.done, "Count"),
            "Failed": (tally.failed, "Count"),
            "BusySeconds": (round(tally.busy_s, 3), "Seconds"),
        },
    )


@dataclass(slots=True)
class Reporter:
    """Says the metrics now and then, each time those since the last time; ends the worker with its parent."""

    worker: Worker
    settings: Settings
    every_s: float
    parent: int
    told: Tally = field(default_factory=Tally)

    def run(self) -> None:
        last = time.monotonic()
        while not self.worker.stopping.wait(1.0):
            if self.parent and os.getppid() != self.parent:
                log.line("orphaned")
                self.worker.stopping.set()
            if time.monotonic() - last >= self.every_s:
                last = time.monotonic()
                self.tell()

    def tell(self) -> None:
        now, told = replace(self.worker.tally), self.told
        since = Tally(now.done - told.done, now.failed - told.failed, now.busy_s - told.busy_s)
        self.told = now
        held = len(self.worker.held.every())
        log.line("metrics", held=held, **metrics(self.settings, since))


def main() -> int:
    """Work on the queue that the environment names, until SIGTERM."""
    settings = from_environment()
    hold_s = int(os.environ.get(HOLD_VARIABLE, HOLD_S))
    queue = SqsQueue(settings.queue_url, AwsStore().client("sqs"), hold_s)
    worker = Worker(queue, _serve, hold_s)
    signal.signal(signal.SIGTERM, lambda *_: worker.stopping.set())
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the parent decides
    parent = int(os.environ.get(PARENT_VARIABLE, "0"))
    every_s = float(os.environ.get(METRICS_VARIABLE, "60"))
    reporter = Reporter(worker, settings, every_s, parent)
    for target in (worker.beat, reporter.run):
        threading.Thread(target=target, daemon=True).start()
    log.line("worker started", step=settings.function, pid=os.getpid())
    worker.run()
    reporter.tell()
    log.line("worker stopped", step=settings.function)
    return 0


def _serve(event: dict[str, Any], context: Any) -> Mapping[str, Any] | None:
    return entry.serve(event, context, lambda: importlib.import_module("handler").handler)


if __name__ == "__main__":
    sys.exit(main())
