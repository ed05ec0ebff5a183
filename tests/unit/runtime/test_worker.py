"""A worker's one process: what it acknowledges, what it gives back, and that no trouble ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import pytest

from imgpipe.runtime.settings import Settings
from imgpipe.runtime.worker import Record, Reporter, Tally, Worker, metrics

Answer = Mapping[str, Any] | None


def record(name: str) -> Record:
    return {
        "eventSource": "aws:sqs",
        "messageId": name,
        "receiptHandle": name,
        "body": "{}",
        "attributes": {},
    }


@dataclass
class FakeQueue:
    """Gives what it has, batch by batch; when nothing is left it tells its worker to stop."""

    batches: list[list[str] | Exception]
    worker: Worker | None = None
    asked: list[int] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    hidden: list[tuple[str, int]] = field(default_factory=list)
    deaf: bool = False

    def receive(self, most: int) -> list[Record]:
        self.asked.append(most)
        if not self.batches:
            assert self.worker is not None
            self.worker.stopping.set()
            return []
        given = self.batches.pop(0)
        if isinstance(given, Exception):
            raise given
        return [record(name) for name in given]

    def acknowledge(self, record: Record) -> None:
        if self.deaf:
            raise ConnectionError("the network is gone")
        self.acknowledged.append(record["messageId"])

    def hide(self, records: Sequence[Record], seconds: int) -> None:
        self.hidden += [(record["messageId"], seconds) for record in records]


def worker_of(
    queue: FakeQueue, serve: Callable[[dict[str, Any], Any], Answer], **more: Any
) -> Worker:
    queue.worker = Worker(queue, serve, **more)
    return queue.worker


def test_what_worked_is_acknowledged_and_what_failed_is_not() -> None:
    def serve(event: dict[str, Any], _: Any) -> Answer:
        name = event["Records"][0]["messageId"]
        if name == "breaks":
            raise RuntimeError(name)
        return {"batchItemFailures": [{"itemIdentifier": name}] if name == "fails" else []}

    queue = FakeQueue([["good", "fails", "breaks", "fine"]])
    worker = worker_of(queue, serve)
    worker.run()
    assert queue.acknowledged == ["good", "fine"]
    assert queue.hidden == []  # the pause before another attempt is `entry`'s to set
    assert (worker.tally.done, worker.tally.failed) == (2, 2)
    assert worker.held.every() == []


def test_told_to_stop_it_finishes_the_one_in_work_and_gives_back_the_rest() -> None:
    queue = FakeQueue([["first", "second", "third"]])

    def serve(*_: Any) -> Answer:
        worker.stopping.set()
        return None

    worker = worker_of(queue, serve)
    worker.run()
    assert queue.acknowledged == ["first"]
    assert queue.hidden == [("second", 0), ("third", 0)]


def test_a_lost_network_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FakeQueue([ConnectionError("no route"), OSError("still none"), ["late"]])
    worker = worker_of(queue, lambda *_: None)
    waited: list[float] = []
    monkeypatch.setattr(worker.stopping, "wait", waited.append)
    worker.run()
    assert waited == [1.0, 2.0]
    assert queue.acknowledged == ["late"]


def test_a_message_that_cannot_be_acknowledged_ends_nothing() -> None:
    queue = FakeQueue([["one"], ["two"]], deaf=True)
    worker = worker_of(queue, lambda *_: None)
    worker.run()
    assert worker.tally.done == 2


def test_it_takes_one_until_it_knows_and_then_what_it_can_do_soon() -> None:
    queue = FakeQueue([["a"], ["b"]])
    worker = worker_of(queue, lambda *_: None)
    worker.run()
    assert queue.asked == [1, 10, 10]
    slow = worker_of(FakeQueue([["c"]]), lambda *_: None)
    slow.tally = Tally(done=2, busy_s=2.0)
    slow.run()
    assert slow.queue.asked[0] == 2  # type: ignore[attr-defined]


@pytest.mark.fault("F-29")
def test_what_is_held_stays_hidden_while_it_is_worked_on() -> None:
    queue = FakeQueue([["long", "next"]])

    def serve(*_: Any) -> Answer:
        deadline = time.monotonic() + 10
        while not queue.hidden and time.monotonic() < deadline:
            time.sleep(0.01)
        return None

    worker = worker_of(queue, serve, hold_s=1)
    Thread(target=worker.beat, daemon=True).start()
    worker.run()
    assert ("long", 1) in queue.hidden
    assert ("next", 1) in queue.hidden


def test_metrics_are_those_since_the_last_time(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    settings = Settings(pipeline="p", environment="e", function="tint")
    worker = worker_of(FakeQueue([]), lambda *_: None)
    reporter = Reporter(worker, settings, every_s=60, parent=0)
    worker.tally = Tally(done=5, failed=1, busy_s=2.5)
    reporter.tell()
    worker.tally.done = 7
    reporter.tell()
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["Done"], first["Failed"], second["Done"], second["Failed"]) == (5, 1, 2, 0)
    named = {metric["Name"] for metric in first["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert named <= set(metrics(settings, Tally()))
    assert (first["Pipeline"], first["Environment"], first["Step"]) == ("p", "e", "tint")
