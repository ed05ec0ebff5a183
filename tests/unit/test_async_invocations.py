"""Asynchronous invocations: kept until concluded, retried under one id, fair to every function."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgpipe.local.corrections import async_invoke_attempt as attempt
from imgpipe.local.corrections.async_invoke import KIND, Invocations
from imgpipe.local.corrections.async_invoke_attempt import Invocation, Outcome
from imgpipe.local.journal.store import Journal

DEADLINE_S = 10.0


def arn(name: str) -> str:
    return f"arn:aws:lambda:eu-west-1:000000000000:function:{name}"


def invocation(number: int, function: str = "f") -> Invocation:
    return Invocation(
        id=f"id-{number}", function=arn(function), event={"n": number}, accepted=time.time()
    )


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setenv("IMGPIPE_ASYNC_RETRY_S", "0.01")
    return Journal(tmp_path / "journal.db")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen in time"
        threading.Event().wait(0.005)


class Function:
    """A function that answers from a script, one outcome an attempt; then with success."""

    def __init__(self, *script: Outcome) -> None:
        self.script = list(script)
        self.seen: list[tuple[str, Any]] = []
        self.lock = threading.Lock()

    def __call__(self, made: Invocation, _attempts: int) -> Outcome:
        with self.lock:
            self.seen.append((made.id, made.event))
            return self.script.pop(0) if self.script else Outcome()


FAILED = Outcome(error=True, function_error="Unhandled", payload={"errorMessage": "no"})
THROTTLED = Outcome(error=True, throttled=True)


def test_a_failed_event_is_tried_three_times_under_one_id(journal: Journal) -> None:
    function = Function(FAILED, FAILED, FAILED, FAILED)
    invocations = Invocations(journal, function, conclude=lambda *_: None)
    invocations.start()
    invocations.accept(invocation(1))
    wait_for(lambda: invocations.pending() == 0)

    assert function.seen == [("id-1", {"n": 1})] * 3


def test_a_throttle_is_no_attempt(journal: Journal) -> None:
    function = Function(THROTTLED, THROTTLED, THROTTLED, THROTTLED, FAILED, FAILED)
    told: list[tuple[int, str]] = []
    invocations = Invocations(
        journal,
        function,
        conclude=lambda _i, _o, attempts, condition: told.append((attempts, condition)),
    )
    invocations.start()
    invocations.accept(invocation(1))
    wait_for(lambda: invocations.pending() == 0)

    assert told == [(3, "Success")]
    assert len(function.seen) == 7


def test_an_event_in_the_middle_of_its_run_starts_again_after_a_crash(
    journal: Journal, tmp_path: Path
) -> None:
    entered, let_go = threading.Event(), threading.Event()

    def never_ends(_made: Invocation, _attempts: int) -> Outcome:
        entered.set()
        let_go.wait(DEADLINE_S)
        return Outcome()

    crashed = Invocations(journal, never_ends, conclude=lambda *_: None)
    crashed.start()
    crashed.accept(invocation(1))
    journal.commit()
    entered.wait(DEADLINE_S)

    function = Function()
    survivor = Invocations(Journal(tmp_path / "journal.db"), function, conclude=lambda *_: None)
    survivor.start()
    wait_for(lambda: survivor.pending() == 0)
    let_go.set()

    assert function.seen == [("id-1", {"n": 1})]


def test_an_event_is_forgotten_when_it_is_concluded(journal: Journal) -> None:
    invocations = Invocations(journal, Function(), conclude=lambda *_: None)
    invocations.start()
    for number in range(20):
        invocations.accept(invocation(number))
    wait_for(lambda: invocations.pending() == 0)
    journal.commit()

    assert journal.load(KIND) == []


def test_a_slow_function_does_not_keep_another_waiting(journal: Journal) -> None:
    let_go, running = threading.Event(), Counter[str]()

    def slow_or_quick(made: Invocation, _attempts: int) -> Outcome:
        name = made.function.rsplit(":", 1)[-1]
        running[name] += 1
        if name == "slow":
            let_go.wait(DEADLINE_S)
        return Outcome()

    invocations = Invocations(
        journal, slow_or_quick, concurrency=lambda _: 5, conclude=lambda *_: None
    )
    invocations.start()
    for number in range(50):
        invocations.accept(invocation(number, "slow"))
    for number in range(10):
        invocations.accept(invocation(100 + number, "quick"))
    wait_for(lambda: running["quick"] == 10)
    assert running["slow"] <= 5
    let_go.set()
    wait_for(lambda: invocations.pending() == 0)


def test_an_event_that_grows_too_old_expires() -> None:
    old = Invocation(id="i", function=arn("nobody"), event={}, accepted=0.0)

    assert attempt.verdict(old, THROTTLED, 0, next_at=21_599.0) is None
    assert attempt.verdict(old, THROTTLED, 0, next_at=21_601.0) == "EventAgeExceeded"
    assert attempt.verdict(old, FAILED, 3, next_at=1.0) == "RetriesExhausted"
    assert attempt.verdict(old, FAILED, 2, next_at=1.0) is None


def test_the_record_for_a_destination_is_aws_s() -> None:
    record = attempt.destination_record(invocation(1), FAILED, 3, "RetriesExhausted")

    assert record["requestContext"] == {
        "requestId": "id-1",
        "functionArn": arn("f") + ":$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert record["requestPayload"] == {"n": 1}
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"] == {"errorMessage": "no"}
