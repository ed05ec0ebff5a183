"""An image that was opened by its link leads on to those before and after it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.studio import in_moto, put_row, result
from tests.unit.web.visiting import Console


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with in_moto() as project:
        for number in (1, 2, 3):
            at = f"2026-11-21T07:00:0{number}.000Z"
            put_row(project, result(f"incoming/{number} &.jpg", uploaded_at=at, at=at))
        yield Console(project, read_only=True)


@pytest.mark.parametrize(
    ("number", "before", "after"),
    [
        (3, "", "/image?key=incoming%2F2%20%26.jpg"),
        (2, "/image?key=incoming%2F3%20%26.jpg", "/image?key=incoming%2F1%20%26.jpg"),
        (1, "/image?key=incoming%2F2%20%26.jpg", ""),
    ],
)
def test_the_one_before_is_the_later_upload_as_in_the_gallery(
    console: Console, number: int, before: str, after: str
) -> None:
    answer = console.get("/beside", key=f"incoming/{number} &.jpg")
    assert json.loads(answer.text) == {"before": before, "after": after}


def test_beside_nothing_is_nothing(console: Console) -> None:
    assert console.get("/beside", key="nobody.jpg").status == 404
