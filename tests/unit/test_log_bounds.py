"""How many log events the embedded cloud keeps, in memory and on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import cloudwatch_logs

from imgpipe.local.journal import logs
from imgpipe.local.journal.store import Journal
from imgpipe.local.keys import ACCOUNT, REGION

GROUP = "/aws/lambda/of-this-test"
NO_SETTINGS: Any = SimpleNamespace(save=lambda _: None)


@pytest.fixture
def stream() -> Iterator[dict[str, Any]]:
    """A stream of a group that is there."""
    made: dict[str, Any] = {"events": [], "creationTime": 1, **logs._NEW_STREAM}
    group = {"creationTime": 1, "retentionInDays": None, "streams": {"s": made}}
    with request_scope(ACCOUNT, REGION):
        cloudwatch_logs._log_groups[GROUP] = group
        yield made
        del cloudwatch_logs._log_groups[GROUP]


def lines(first: int, count: int) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    return [
        {"timestamp": now + at, "message": f"line {at}", "ingestionTime": now}
        for at in range(first, first + count)
    ]


def said(stream: dict[str, Any]) -> list[str]:
    return [event["message"] for event in stream["events"]]


def test_the_youngest_events_of_a_group_are_kept_in_memory_and_on_disk(
    stream: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "KEEP", 10)
    book = Journal(tmp_path / "journal.db")
    kept = logs.Logs(book, NO_SETTINGS)
    for first in range(0, 300, 3):
        some = lines(first, 3)
        logs._stock_append(stream, some)
        kept.appended(stream, some)
        book.commit()
    youngest = [f"line {at}" for at in range(291, 300)]
    assert said(stream) == youngest
    assert len(list(book.load(logs.KIND))) == 3

    stream["events"].clear()
    again = logs.Logs(book, NO_SETTINGS)
    again.restore()
    assert said(stream) == youngest
    logs._stock_append(stream, lines(300, 3))
    again.appended(stream, lines(300, 3))
    book.commit()
    assert said(stream) == [f"line {at}" for at in range(294, 303)]
    assert len(list(book.load(logs.KIND))) == 3
