"""Durations and moments, as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from imgpipe.errors import UsageError
from imgpipe.operate import times

NOW = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("0.5s", 0.5),
        ("250ms", 0.25),
        (" 10M ", 600),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert times.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5y", "m", "-5s", "1h 30m", "10m!"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="90s, 10m"):
        times.duration(text)


def test_moments_are_dates_times_or_ages() -> None:
    assert times.moment("3h", NOW) == NOW - timedelta(hours=3)
    assert times.moment("2026-11-21T06:00:00Z", NOW) == NOW - timedelta(hours=1)
    assert times.moment("2026-11-20", NOW).astimezone().date().isoformat() == "2026-11-20"
    with pytest.raises(UsageError, match="an age"):
        times.moment("yesterday", NOW)
    with pytest.raises(UsageError):
        times.moment("999999999999d", NOW)


def test_iso_texts_go_there_and_back() -> None:
    assert times.iso(NOW) == "2026-11-21T07:00:00.000Z"
    assert times.from_iso(times.iso(NOW)) == NOW
    assert times.from_iso("2026-11-21T07:00:00") == NOW
    assert times.from_iso("nonsense") is None


def test_a_stretch_of_time_that_ends_before_it_begins_is_refused() -> None:
    day = datetime(2026, 11, 21, tzinfo=UTC)
    times.in_order(day, day)
    times.in_order(None, day)
    with pytest.raises(UsageError, match="the end comes before the beginning"):
        times.in_order(day, day - timedelta(seconds=1))
