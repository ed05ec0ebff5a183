"""What could be of any length is a stream: folders, listings. Counted in objects that are under way, not in bytes."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe.deploy.resources import Alarm
from imgpipe.operate import ops
from imgpipe.operate.upload import run, sources
from imgpipe.operate.upload.send import Sent
from imgpipe.operate.upload.sources import Source
from tests.studio import studio, studio_graph

FILES = 3000


class Shelf:
    """S3, as far as it takes objects; it counts how many are being taken at a time."""

    def __init__(self) -> None:
        self.taken = 0

    def put_object(self, **_: Any) -> dict[str, str]:
        self.taken += 1
        return {"ETag": '"e"', "VersionId": "v"}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for number in range(FILES):
        folder = tmp_path / f"{number // 500}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:05}.jpg").write_bytes(b"\xff\xd8\xff" + b"%d" % number)
    return tmp_path


def test_a_folder_of_any_length_is_read_no_further_than_the_uploads_are(album: Path) -> None:
    found = 0

    def looking() -> Iterator[Any]:
        nonlocal found
        for item in sources.meant(sources.find([str(album)], "incoming/")):
            found += 1
            yield item

    project: Any = SimpleNamespace(
        cloud=SimpleNamespace(client=lambda _: Shelf()),
        graph=SimpleNamespace(uploads_bucket="uploads"),
    )
    told = most_ahead = most_alive = 0
    for outcome in run.run(project, looking(), lambda _: None):
        assert isinstance(outcome, Sent)
        told += 1
        most_ahead = max(most_ahead, found - told)
        if told % 500 == 0:
            alive = sum(isinstance(it, Source | Sent) for it in gc.get_objects())
            most_alive = max(most_alive, alive)
    assert told == found == FILES
    assert most_ahead <= 2 * run.WORKERS
    assert most_alive <= 6 * run.WORKERS  # found, under way, and told


@dataclass
class Pages:
    """A bucket of a million notes, a page of a thousand at a time."""

    asked: int = 0
    calls: list[dict[str, Any]] = field(default_factory=list)

    def get_paginator(self, _: str) -> Pages:
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for page in range(1000):
            self.asked += 1
            at = datetime(2026, 1, 1, tzinfo=UTC)
            yield {
                "Contents": [
                    {"Key": f"ops/{page * 1000 + number:07}", "Size": 1, "LastModified": at}
                    for number in range(1000)
                ]
            }


def test_a_listing_of_a_million_keys_is_asked_for_page_by_page() -> None:
    pages = Pages()
    count = 0
    for count, _ in enumerate(ops.names(studio(s3=pages), ""), start=1):
        assert pages.asked == (count - 1) // 1000 + 1
    assert count == 1_000_000


def test_results_that_nobody_takes_are_seen_by_their_age() -> None:
    """They wait in their queue, on disk and for days; what grows is an alarm, not a process."""
    graph = studio_graph()
    queue = graph.queues["results"]
    watched = {
        (alarm.metric, dict(alarm.dimensions).get("QueueName"))
        for alarm in graph.of(Alarm)
        if alarm.action
    }
    assert ("ApproximateAgeOfOldestMessage", queue) in watched
