"""The last hour, put into minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from imgpipe.operate.history import MINUTES, by_minute, spans
from imgpipe.operate.times import iso

SINCE = datetime(2026, 11, 21, 12, tzinfo=UTC)


def after(minutes: float) -> datetime:
    return SINCE + timedelta(minutes=minutes)


def row(began: float, ended: float) -> dict[str, Any]:
    return {"uploaded_at": iso(after(began)), "updated_at": iso(after(ended))}


def test_an_image_counts_in_the_minute_in_which_it_ended() -> None:
    found = spans([row(0, 0.5), row(-3, 0.2), row(58, 59.5), row(2, 1), row(59, 60)], SINCE)
    assert found[0] == [30.0, 192.0]
    assert found[59] == [90.0]
    assert sum(map(len, found)) == 3, "one ended before it began, and one after the hour"


def test_points_add_up_by_the_minute_and_a_silent_minute_is_none() -> None:
    points = [
        (after(0.0), 2.0),
        (after(0.17), 3.0),
        (after(59.9), 1.0),
        (after(60), 9.0),
        (after(-1), 9.0),
    ]
    sums = by_minute(points, SINCE)
    assert len(sums) == MINUTES
    assert (sums[0], sums[59], sum(sums)) == (5.0, 1.0, 6.0)


def test_what_was_made_again_is_no_time_from_upload_to_done() -> None:
    once, twice = {"attempts": 1}, {"attempts": 2}
    again = {**row(0, 50), "steps": {"enhance": twice, "tag": twice}}
    retried = {**row(0, 1), "steps": {"enhance": twice, "tag": once}}
    found = spans([again, retried], SINCE)
    assert found[50] == []
    assert found[1] == [60.0]
