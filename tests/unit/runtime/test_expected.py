"""Which steps an upload goes through: the writer's lists, by the time of the upload."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imgpipe.runtime import expected, row, writer
from tests.fakes import SETTINGS, TABLE, FakeContext, FakeStore, sqs_event

KEY = "incoming/a.jpg"
BEFORE, AFTER = "2026-01-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"


def known(*lists: tuple[str, list[str]], **matches: Any) -> list[dict[str, Any]]:
    return [{"since": since, "steps": steps, "matches": matches} for since, steps in lists]


def test_an_upload_from_before_a_step_listened_does_not_wait_for_it() -> None:
    lists = known(("2025-01-01T00:00:00Z", ["thumb"]), ("2026-02-01T00:00:00Z", ["thumb", "new"]))
    assert expected.steps(lists, KEY, BEFORE) == ["thumb"]
    assert expected.steps(lists, KEY, AFTER) == ["thumb", "new"]


def test_a_step_that_is_gone_is_expected_of_nobody() -> None:
    lists = known(("2025-01-01T00:00:00Z", ["thumb", "old"]), ("2026-02-01T00:00:00Z", ["thumb"]))
    assert expected.steps(lists, KEY, BEFORE) == ["thumb"]


def test_the_first_list_holds_for_all_that_came_before_it() -> None:
    assert expected.steps(known((AFTER, ["thumb"])), KEY, BEFORE) == ["thumb"]


@pytest.mark.parametrize("uploaded_at", ["", "yesterday", "2026-03-01"])
def test_a_time_that_says_nothing_is_taken_as_now_or_as_it_stands(uploaded_at: str) -> None:
    lists = known(("2025-01-01T00:00:00Z", ["thumb"]), ("2026-02-01T00:00:00Z", ["thumb", "new"]))
    assert expected.steps(lists, KEY, uploaded_at) == ["thumb", "new"]


@pytest.mark.capability("S2-2")
def test_only_what_a_step_works_on_is_expected_of_it() -> None:
    raw = {"prefix": "incoming/raw/", "suffixes": [".tif"]}
    lists = known((BEFORE, ["thumb", "develop"]), develop=raw)
    assert expected.steps(lists, "incoming/raw/a.TIF", AFTER) == ["thumb", "develop"]
    assert expected.steps(lists, "incoming/raw/a.jpg", AFTER) == ["thumb"]
    assert expected.steps(lists, "incoming/a.tif", AFTER) == ["thumb"]


def test_a_new_list_is_remembered_once_and_the_old_ones_kept() -> None:
    store = FakeStore()
    one = replace(SETTINGS, expected=("thumb",))
    two = replace(SETTINGS, expected=("thumb", "new"))
    for settings in (one, one, two, two):
        lists = expected.lists(store, settings)
    assert [each["steps"] for each in lists] == [["thumb"], ["thumb", "new"]]


def test_a_list_that_another_writer_was_quicker_to_remember_is_not_remembered_twice() -> None:
    store = FakeStore()
    put = store.put_item
    told = replace(SETTINGS, expected=("thumb",))

    def raced(*args: Any, **kwargs: Any) -> bool:
        store.put_item = put  # type: ignore[method-assign]
        put(*args, **kwargs)
        return put(*args, **kwargs)

    store.put_item = raced  # type: ignore[method-assign]
    assert len(expected.lists(store, told)) == 1


@pytest.mark.capability("S0-11")
@pytest.mark.fault("F-46")
def test_an_upload_in_flight_while_a_step_is_added_is_done_without_it() -> None:
    """Its result waits, perhaps since the table was down, while the pipeline is edited."""
    store = FakeStore()
    result = {
        "v": 1,
        "kind": "step",
        "key": KEY,
        "version_id": "v1",
        "sequencer": "01",
        "step": "sizes",
        "status": "done",
        "attempt_id": "m:1",
        "max_attempts": 5,
        "at": AFTER,
        "uploaded_at": BEFORE,
    }
    writer.run(
        sqs_event({**result, "key": "incoming/other.jpg"}),
        FakeContext(),
        store=store,
        settings=replace(SETTINGS, expected=("sizes",)),
    )
    writer.run(
        sqs_event(result),
        FakeContext(),
        store=store,
        settings=replace(SETTINGS, expected=("sizes", "new")),
    )
    assert row.from_item(store.items[TABLE, KEY, row.SK_IMAGE])["status"] == "done"


def test_a_writer_reads_what_is_expected_once_in_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    store, told = FakeStore(), replace(SETTINGS, expected=("sizes",))
    monkeypatch.setattr(writer, "_KNOWN", {})
    heard: list[dict[str, Any]] = [{"kind": "step", "key": KEY}]
    first = writer._remembered(heard, store, told)
    assert writer._remembered(heard, store, told) == first != []
    assert store.calls.count("get_item") == 1
    assert (
        writer._remembered([{"kind": "removed"}], store, replace(told, expected=("other",))) == []
    )
