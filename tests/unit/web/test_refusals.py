"""What can't be answered is refused in words that help, and never blamed on the cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.studio import in_moto
from tests.unit.web.visiting import Console


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with in_moto() as project:
        yield Console(project)


@pytest.mark.parametrize("more", [{}, {"q": "holiday"}, {"status": "failed"}])
def test_dates_in_the_wrong_order_are_named(console: Console, more: dict[str, str]) -> None:
    answer = console.get("/tiles", since="2026-11-22", until="2026-11-01", **more)
    assert answer.status == 400
    assert "from 2026-11-22 00:00 to 2026-11-01 23:59" in answer.text
    assert "from is after to" in answer.text


def test_one_day_is_a_stretch_of_time_and_the_day_before_is_none(console: Console) -> None:
    assert console.get("/tiles", since="2026-11-22", until="2026-11-22").status == 200
    assert console.get("/tiles", since="2026-11-22", until="2026-11-21").status == 400


@pytest.mark.parametrize(
    "asked",
    [
        {"call": "part"},
        {"call": "part", "partNumber": 1},
        {"call": "part", "uploadId": "", "partNumber": 1},
        {"call": "part", "uploadId": "u"},
        {"call": "part", "uploadId": "u", "partNumber": 0},
        {"call": "part", "uploadId": "u", "partNumber": 10_001},
        {"call": "part", "uploadId": "u", "partNumber": "\u0661"},
        {"call": "part", "uploadId": ["u"], "partNumber": 1},
        {"call": "list"},
        {"call": "complete"},
        {"call": "abort"},
        {"call": "other", "uploadId": "u"},
    ],
)
def test_half_a_wish_for_leave_is_refused(console: Console, asked: dict[str, Any]) -> None:
    assert console.post("/uploads/link", {"key": "incoming/a.jpg", **asked}).status == 400


def test_a_whole_wish_is_granted(console: Console) -> None:
    asked = {"call": "part", "key": "incoming/a.jpg", "uploadId": "u", "partNumber": 10_000}
    assert console.post("/uploads/link", asked).status == 200
