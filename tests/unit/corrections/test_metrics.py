"""What is kept of what the embedded cloud measures."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ministack.services import cloudwatch

from imgpipe.local.corrections import metrics, metrics_queues
from tests.unit.corrections.conftest import ACCOUNT, REGION, make_message, make_queue

KEY = (ACCOUNT, REGION, ("AWS/X", "M", ""))


def total(points: list[dict[str, Any]]) -> tuple[float, float, float, float]:
    parts = [cloudwatch._point_stats(point) for point in points]
    counts, sums, lows, highs = zip(*parts, strict=True)
    return sum(counts), sum(sums), min(lows), max(highs)


def kept() -> list[dict[str, Any]]:
    return list(cloudwatch._metrics._data.get(KEY, []))


def put(at: float, value: float) -> None:
    point = {"Timestamp": at, "Unit": "Count", "Dimensions": {}, "Value": value}
    cloudwatch._metrics._data.setdefault(KEY, []).append({**point, "_stat": metrics.one(value)})


@given(st.lists(st.tuples(st.integers(0, 80_000), st.integers(-9, 9)), min_size=1, max_size=40))
def test_making_minutes_of_old_points_changes_no_statistic(
    written: list[tuple[int, int]],
) -> None:
    cloudwatch._metrics.clear()
    for at, value in sorted(written):
        put(float(at), float(value))
    before = total(kept())
    metrics.compact(80_000.0)
    assert total(kept()) == before


def test_old_points_become_one_a_minute_and_young_ones_stay() -> None:
    for at in (0.0, 10.0, 70.0, 5_000.0, 5_010.0):
        put(at, 1.0)
    metrics.compact(5_020.0)
    assert [point["Timestamp"] for point in kept()] == [0.0, 60.0, 5_000.0, 5_010.0]


def test_points_of_yesterday_are_gone() -> None:
    put(0.0, 1.0)
    metrics.compact(metrics.KEEP_S + 1)
    assert kept() == []


def test_measurements_of_the_same_moment_share_a_point() -> None:
    for _ in range(100):
        metrics.record("AWS/X", "M", 1.0, "Count")
    assert len(kept()) <= 2
    assert total(kept())[:2] == (100.0, 100.0)


def test_depths_tell_waiting_flying_and_delayed_messages_apart() -> None:
    messages = [
        make_message("waiting", sent_at=10.0),
        make_message("flying", sent_at=20.0, visible_at=200.0, receive_count=1),
        make_message("delayed", sent_at=30.0, visible_at=200.0),
    ]
    assert metrics_queues.depths(messages, 100.0) == {
        "ApproximateNumberOfMessagesVisible": 1,
        "ApproximateNumberOfMessagesNotVisible": 1,
        "ApproximateNumberOfMessagesDelayed": 1,
        "ApproximateAgeOfOldestMessage": 90.0,
    }


def test_a_message_that_failed_too_often_has_no_age_and_a_dead_letter_counts_from_its_move() -> (
    None
):
    poison = make_message("poison", sent_at=0.0, receive_count=4)
    letter = make_message("letter", sent_at=0.0, receive_count=5, buried_at=90.0)
    assert metrics_queues.depths([poison], 100.0)["ApproximateAgeOfOldestMessage"] == 0.0
    assert metrics_queues.depths([letter], 100.0)["ApproximateAgeOfOldestMessage"] == 10.0


def test_a_queue_that_nobody_uses_gives_no_numbers() -> None:
    used, unused = make_queue("busy"), make_queue("quiet")
    used["messages"].append(make_message("x"))
    metrics_queues.sample(1_000.0)
    names = {key[2][2] for key in cloudwatch._metrics._data}
    assert any(used["name"] in name for name in names)
    assert not any(unused["name"] in name for name in names)
