"""What Lambda refuses about a mapping, and which messages of a batch failed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.local.corrections import event_source_batch as batches
from imgpipe.local.corrections import event_source_rules as rules

PARTIAL = ("ReportBatchItemFailures",)
IDS = ("a", "b", "c")


def message(refusal: rules.Refusal | None) -> str:
    assert refusal is not None
    assert refusal.code == rules.INVALID
    return refusal.message


@pytest.mark.parametrize(("size", "window"), [(1, 0), (10, 0), (11, 1), (10_000, 300)])
def test_these_batches_are_fine(size: int, window: int) -> None:
    assert rules.batch(size, window, fifo=False) is None


def test_a_batch_over_ten_needs_a_window() -> None:
    assert "must be greater than 0" in message(rules.batch(11, 0, fifo=False))


@pytest.mark.parametrize(("size", "window"), [(0, 0), (10_001, 1), (1, 301), (1, -1)])
def test_sizes_and_windows_have_limits(size: int, window: int) -> None:
    assert "must be between" in message(rules.batch(size, window, fifo=False))


def test_a_fifo_queue_has_no_window_and_small_batches() -> None:
    assert rules.batch(10, 1, fifo=True) is not None
    assert rules.batch(11, 0, fifo=True) is not None


def test_a_queue_that_shows_a_message_again_while_it_is_worked_on_is_refused() -> None:
    assert message(rules.visibility(30, 60)) == (
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"
    )
    assert rules.visibility(60, 60) is None


@pytest.mark.parametrize("pattern", ["{nope", "[]", "1", None])
def test_a_filter_must_be_a_json_object(pattern: str | None) -> None:
    assert "Invalid filter pattern" in message(rules.filters({"Filters": [{"Pattern": pattern}]}))


@pytest.mark.parametrize(
    "answer", [None, {}, "", b"", {"batchItemFailures": []}, {"batchItemFailures": None}, {"x": 1}]
)
def test_an_answer_without_failures_means_that_all_is_done(answer: Any) -> None:
    assert batches.failed(answer, IDS, PARTIAL) == set()


def test_only_the_named_messages_fail() -> None:
    answer = {"batchItemFailures": [{"itemIdentifier": "b"}]}
    assert batches.failed(answer, IDS, PARTIAL) == {"b"}


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "a"}]},
        {"batchItemFailures": ["a"]},
        {"batchItemFailures": "a"},
        {"batchItemFailures": [{"itemIdentifier": "a"}, {}]},
        "not JSON",
        [1],
    ],
)
def test_a_malformed_answer_fails_the_whole_batch(answer: Any) -> None:
    assert batches.failed(answer, IDS, PARTIAL) == set(IDS)


def test_without_the_response_type_the_answer_means_nothing() -> None:
    answer = {"batchItemFailures": [{"itemIdentifier": "a"}]}
    assert batches.failed(answer, IDS, ()) == set()


@given(st.lists(st.integers(0, 3_000_000), max_size=12), st.integers(1, 12))
def test_an_event_has_at_least_one_message_and_stays_under_six_megabytes(
    sizes: list[int], most: int
) -> None:
    messages = [{"body": "x" * size} for size in sizes]
    count = batches.fitting(messages, most)
    assert count <= most
    assert (count >= 1) == bool(messages)
    weight = sum(size + batches.RECORD_OVERHEAD_BYTES for size in sizes[:count])
    assert count <= 1 or weight <= batches.MAX_EVENT_BYTES
