"""What changed since somebody looked is told once, and a burst is told whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe.errors import CloudError
from imgpipe.operate import rows
from imgpipe.operate.live import LATEST, MOST_LATEST, Live

PROJECT: Any = SimpleNamespace(graph=SimpleNamespace(prefix="incoming/"))


def row(number: int, status: str = "done") -> dict[str, Any]:
    at = f"2026-11-21T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"
    moments = {"uploaded_at": at, "updated_at": at}
    return {"key": f"incoming/{number}.jpg", "version_id": "v", "status": status, **moments}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    held: dict[str, dict[str, Any]] = {}

    def by_status(*_: Any, limit: int, **__: Any) -> Iterator[dict[str, Any]]:
        latest = sorted(held.values(), key=lambda it: str(it["uploaded_at"]), reverse=True)
        return iter(latest[:limit])

    def by_keys(_project: Any, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        return {key: held[key] for key in keys if key in held}

    monkeypatch.setattr(rows, "by_status", by_status)
    monkeypatch.setattr(rows, "by_keys", by_keys)
    return held


def add(table: dict[str, dict[str, Any]], *some: dict[str, Any]) -> None:
    table |= {it["key"]: it for it in some}


def test_what_was_there_before_is_no_news(table: dict[str, dict[str, Any]]) -> None:
    add(table, *map(row, range(200)))
    live = Live(PROJECT, now=lambda: 0.0)
    assert live.changes() == []
    assert live.changes() == []


def test_a_burst_is_told_whole_and_once(table: dict[str, dict[str, Any]]) -> None:
    add(table, *map(row, range(200)))
    live = Live(PROJECT, now=lambda: 0.0)
    live.changes()
    add(table, *map(row, range(200, 200 + 5 * LATEST)))
    told = live.changes()
    assert {it["key"] for it in told} == {f"incoming/{at}.jpg" for at in range(200, 400)}
    assert live.changes() == []


def test_a_flood_is_told_in_part(table: dict[str, dict[str, Any]]) -> None:
    add(table, *map(row, range(100)))
    live = Live(PROJECT, now=lambda: 0.0)
    live.changes()
    add(table, *map(row, range(1000, 1000 + 2 * MOST_LATEST)))
    assert not live.flooded
    assert len(live.changes()) == MOST_LATEST
    assert live.flooded
    live.changes()
    assert not live.flooded


def test_an_image_on_its_way_is_told_of_again_when_it_ends(
    table: dict[str, dict[str, Any]],
) -> None:
    live = Live(PROJECT, now=lambda: 0.0)
    live.changes()
    add(table, row(1, "in_flight"))
    assert [it["status"] for it in live.changes()] == ["in_flight"]
    assert live.busy
    add(table, *map(row, range(10, 10 + 2 * LATEST)), row(1, "done"))
    assert row(1, "done") in live.changes()
    assert not live.busy


def test_a_cloud_that_does_not_answer_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Iterator[Any]:
        raise OSError("no route")

    monkeypatch.setattr(rows, "by_status", broken)
    with pytest.raises(CloudError):
        Live(PROJECT, now=lambda: 0.0).changes()
