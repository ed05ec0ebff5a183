"""Quantities as people write them and read them."""

from __future__ import annotations

import pytest

from imgpipe.deploy.units import BYTES, SECONDS, duration, parse


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0s"), (59, "59s"), (60, "1m"), (90, "90s"), (86_400, "1d")]
)
def test_a_duration_is_said_in_its_largest_whole_unit(seconds: int, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize("seconds", [1, 60, 3600, 86_400, 123])
def test_a_duration_that_is_said_can_be_read(seconds: int) -> None:
    assert parse(duration(seconds), SECONDS, "60s") == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("200MB", 200_000_000), ("2 GiB", 2**31), ("1kB", 1000), ("7", 7)]
)
def test_bytes_are_decimal_unless_their_unit_says_otherwise(text: str, count: int) -> None:
    assert parse(text, BYTES, "200MB") == count
