"""Where Lambda enters: what fails comes back after a pause that grows, and its row says why."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.local.corrections.metrics_embedded import measured
from imgpipe.runtime import entry
from tests.fakes import SETTINGS, FakeContext, FakeStore, s3_event, s3_record, sns_event, sqs_event

QUEUED = replace(SETTINGS, queue_url="https://queue", backoff_s=10, max_receives=5)
UPLOAD = s3_event(s3_record("uploads", "incoming/a.jpg"))


def enter(
    event: dict[str, Any], load: Callable[[], Any], store: FakeStore
) -> dict[str, Any] | None:
    return entry.serve(event, FakeContext(), load, store=store, settings=QUEUED)


def broken(*_: Any) -> Any:
    raise RuntimeError("broken on purpose")


@pytest.mark.capability("S2-12")
@pytest.mark.capability("S4-8")
def test_a_failed_message_comes_back_after_a_pause_and_the_others_are_left_alone() -> None:
    store = FakeStore()
    answer = {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    given = enter(sqs_event("a", "b", receives=2), lambda: lambda *_: answer, store)

    assert given == answer
    assert store.hidden == {"r2": 30}


def test_messages_given_back_are_counted_in_the_log_and_success_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "p-enhance")
    answer = {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]}
    enter(sqs_event("a", "b"), lambda: lambda *_: answer, FakeStore())
    enter(sqs_event("a", "b"), lambda: lambda *_: {"batchItemFailures": []}, FakeStore())

    [line] = capsys.readouterr().out.splitlines()
    [failed] = measured(line)
    assert failed == ("imgpipe", entry.FAILED, 2.0, "Count", {"FunctionName": "p-enhance"})


def test_a_handler_that_raises_gives_all_its_messages_back_and_tells_their_rows() -> None:
    store = FakeStore()
    with pytest.raises(RuntimeError, match="broken on purpose"):
        enter(sqs_event(UPLOAD, UPLOAD), lambda: broken, store)

    said = store.take(QUEUED.results_queue_url)
    assert store.hidden == {"r1": 10, "r2": 10}
    assert {result["status"] for result in said} == {"retrying"}
    assert {result["error"]["message"] for result in said} == {"broken on purpose"}
    assert len(said) == 2 * len(QUEUED.steps)


def test_a_handler_that_cannot_be_imported_is_a_failure_like_any_other() -> None:
    store = FakeStore()
    with pytest.raises(RuntimeError):
        enter(sqs_event(UPLOAD, receives=5), broken, store)

    assert store.hidden == {"r1": 0}
    assert {result["status"] for result in store.take(QUEUED.results_queue_url)} == {"failed"}


def test_a_message_that_is_no_event_does_not_hide_the_handlers_own_trouble() -> None:
    store = FakeStore()
    with pytest.raises(RuntimeError, match="broken on purpose"):
        enter(sqs_event("not json"), lambda: broken, store)
    assert store.hidden == {"r1": 10}


def test_a_direct_invocation_is_left_to_lambda() -> None:
    store = FakeStore()
    with pytest.raises(RuntimeError):
        enter(sns_event(json.dumps(UPLOAD)), lambda: broken, store)
    assert store.calls == []


def test_success_costs_no_call() -> None:
    store = FakeStore()
    assert enter(sqs_event(UPLOAD), lambda: lambda *_: {"batchItemFailures": []}, store)
    assert store.calls == []


@given(st.integers(0, 900), st.integers(1, 20), st.integers(1, 20))
def test_pauses_grow_stay_within_the_limit_and_end_with_the_last_attempt(
    backoff_s: int, receives: int, most: int
) -> None:
    pause_s = entry.pause_s(backoff_s, receives, most)
    assert 0 <= pause_s <= entry.LONGEST_PAUSE_S
    if receives >= most:
        assert pause_s == 0
    elif receives + 1 < most:
        assert pause_s <= entry.pause_s(backoff_s, receives + 1, most)
