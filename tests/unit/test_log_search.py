"""From lines that a search finds to whole invocations, and to what they say about one image."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice
from types import SimpleNamespace
from typing import Any, cast

import pytest

from imgpipe.operate import log_search, logs
from imgpipe.operate.project import Project
from tests.studio import studio_graph

START = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
KEY, OTHER = "incoming/a b'\"ü.jpg", "incoming/other.jpg"


def said(event: str, request: str, **fields: Any) -> str:
    return json.dumps({"event": event, **fields, "request_id": request}, ensure_ascii=False)


def reported(request: str, ms: float) -> str:
    return f"REPORT RequestId: {request}\tDuration: {ms:.2f} ms\tMemory Size: 1769 MB\tMax Memory Used: 62 MB"


STREAM = [
    f"START RequestId: {ONE} Version: $LATEST",
    said("start", ONE, key=KEY, message_id="m1", receives=1),
    said("start", ONE, key=OTHER, message_id="m2", receives=1),
    said("failed", ONE, message_id="m2", error="OSError", message="of the other"),
    said("failed", ONE, message_id="m1", error="ValueError", message="of ours"),
    "[ERROR] ValueError: no request is named here\nTraceback (most recent call last):",
    f"END RequestId: {ONE}",
    reported(ONE, 12.5),
    f"START RequestId: {TWO} Version: $LATEST",
    said("start", TWO, key=OTHER, message_id="m2", receives=2),
    f"{START:%Y-%m-%dT%H:%M:%S}.000Z {TWO} Task timed out after 60.00 seconds",
    reported(TWO, 60_000),
]


class Logs:
    """CloudWatch Logs with one stream in one group, and patterns of quoted words."""

    exceptions = SimpleNamespace(ClientError=KeyError)

    def __init__(self, group: str) -> None:
        self._group = group

    def get_paginator(self, _name: str) -> Any:
        return SimpleNamespace(paginate=lambda **wanted: iter([self.filter_log_events(**wanted)]))

    def filter_log_events(self, **wanted: Any) -> dict[str, Any]:
        if wanted["logGroupName"] != self._group:
            return {"events": []}
        end = wanted.get("endTime", float("inf"))
        return {
            "events": [
                {"timestamp": at, "message": text, "eventId": str(at), "logStreamName": "s"}
                for at, text in enumerate(STREAM, int(START.timestamp() * 1000))
                if wanted["startTime"] <= at < end and _matches(wanted.get("filterPattern"), text)
            ]
        }


def _matches(pattern: str | None, text: str) -> bool:
    words = (pattern or "").split('"')[1::2]
    choose = any if (pattern or "").startswith("?") else all
    return choose(word in text for word in words)


@pytest.fixture
def project() -> Project:
    graph = studio_graph()
    [group] = [branch.log_group for branch in graph.branches if branch.name == "enhance"]
    client = Logs(group)
    cloud = SimpleNamespace(client=lambda _service: client)
    return cast("Project", SimpleNamespace(graph=graph, cloud=cloud))


def texts(project: Project, **wanted: Any) -> list[str]:
    functions = project.graph.branches
    found = logs.since(project, functions, START, logs.Wanted(**wanted))
    return [line.text for line in found]


def test_a_search_by_key_finds_the_traceback_and_leaves_out_other_images(project: Project) -> None:
    found = texts(project, keys=(KEY,))
    assert found == [STREAM[index] for index in (0, 1, 4, 5, 6, 7)]


def test_a_search_by_request_finds_the_whole_invocation_and_no_other(project: Project) -> None:
    assert texts(project, request=TWO) == STREAM[8:]


def test_errors_are_failures_and_not_lines_that_look_like_them(project: Project) -> None:
    assert texts(project, errors=True) == [STREAM[3], STREAM[4], STREAM[5], STREAM[10]]
    assert texts(project, errors=True, keys=(KEY,)) == [STREAM[4], STREAM[5]]


def test_following_a_search_shows_each_line_once(project: Project) -> None:
    following = logs.follow(
        project, project.graph.branches, START, logs.Wanted(keys=(KEY,)), sleep=_stop
    )
    assert [line.text for line in islice(following, 6)] == texts(project, keys=(KEY,))


def _stop(_seconds: float) -> None:
    raise StopIteration


def test_an_invocation_knows_what_lambda_reported(project: Project) -> None:
    [branch] = [branch for branch in project.graph.branches if branch.name == "enhance"]
    [run] = log_search.by_key(project, [branch], {KEY}, START)
    assert run.report == (12.5, 1769, 62)
    assert (run.function, run.request_id, run.started) == ("enhance", ONE, START)
