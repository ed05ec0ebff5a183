"""`up --json` and `down --json`: one document, also when an action failed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from imgpipe.cli import provision
from imgpipe.deploy.apply import Event
from imgpipe.deploy.plan import plan
from imgpipe.errors import ImgpipeError
from tests.studio import studio_graph

ACTIONS = plan(studio_graph().resources, {})


def happening() -> Iterator[Event]:
    first, second, third = ACTIONS[:3]
    yield Event(first, "started")
    yield Event(first, "done", ms=12)
    yield Event(second, "failed", text="no")
    yield Event(third, "skipped", text="it needs what failed")


def breaking() -> Iterator[Event]:
    yield from happening()
    raise ImgpipeError("up", "1 action failed")


def follow(events: Iterator[Event]) -> None:
    with provision._noted(ACTIONS, events, lambda: {"table": "t"}, json=True) as told:
        assert len(list(told)) == 4


def test_each_actions_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    follow(happening())
    document = json.loads(capsys.readouterr().out)
    assert [it["state"] for it in document["ended"]] == ["done", "failed", "skipped"]
    assert document["ended"][0]["name"] == ACTIONS[0].key.name
    assert document["plan"]["create"] == len(ACTIONS)
    assert document["outputs"] == {"table": "t"}


def test_a_failure_leaves_a_whole_document_without_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ImgpipeError):
        follow(breaking())
    document = json.loads(capsys.readouterr().out)
    assert "outputs" not in document
    assert len(document["ended"]) == 3
