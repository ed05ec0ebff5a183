"""The writer:

results become rows, completions and outputs to be tidied, however they are delivered.
"""

import json
from dataclasses import replace
from typing import Any

import pytest

from imgpipe.runtime import results, row, tidy, writer
from tests.fakes import SETTINGS, TABLE, VARIANTS, FakeContext, FakeStore, sqs_event

KEY = "incoming/a.jpg"


def step(name: str = "sizes", status: str = "done", number: int = 1, **more: Any) -> dict[str, Any]:
    """Return a result as a step sends it."""
    output = {
        "key": f"{name}/a.{number}.jpg",
        "width": 2,
        "height": 1,
        "bytes": 9,
        "format": "jpeg",
    }
    result: dict[str, Any] = {
        "v": 1,
        "kind": "step",
        "key": KEY,
        "version_id": f"v{number}",
        "etag": "e",
        "sequencer": f"{number:018X}",
        "size": 123,
        "uploaded_at": "2026-01-31T12:00:00.000Z",
        "step": name,
        "function": "images",
        "settings_hash": "s1",
        "step_hash": "h1",
        "code_hash": "c1",
        "expected": ["sizes"],
        "status": status,
        "attempt_id": "m1:1",
        "max_attempts": 5,
        "at": "2026-01-31T12:00:01.000Z",
        "ms": 41,
        "outputs": {name: output} if status == "done" else {},
        "facts": {"width": 4, "height": 2, "format": "jpeg", "mode": "RGB"},
    }
    return result | more


def gone(number: int) -> dict[str, Any]:
    return {
        "v": 1,
        "kind": "removed",
        "key": KEY,
        "version_id": f"v{number}",
        "sequencer": f"{number:018X}",
        "at": "2026-01-31T12:00:09.000Z",
    }


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def write(store: FakeStore, *results: Any) -> dict[str, Any]:
    return dict(writer.run(sqs_event(*results), FakeContext(), store=store, settings=SETTINGS))


def stored(store: FakeStore, key: str = KEY) -> dict[str, Any]:
    return row.from_item(store.items[TABLE, key, "image"])


def completions(store: FakeStore) -> list[dict[str, Any]]:
    return [json.loads(each.message) for each in store.published]


def test_a_result_becomes_a_row_and_a_completion(store: FakeStore) -> None:
    assert write(store, step()) == {"batchItemFailures": []}
    shown = stored(store)
    (end,) = completions(store)
    assert (shown["key"], shown["status"], shown["version_id"]) == (KEY, "done", "v1")
    assert shown["outputs"]["sizes"]["key"] == "sizes/a.1.jpg"
    assert shown["steps"]["sizes"]["attempts"] == 1
    assert (end["key"], end["status"], end["facts"]) == (
        KEY,
        "done",
        {"width": 4, "height": 2, "format": "jpeg"},
    )
    assert store.published[0].attributes == {"status": "done"}


def test_the_item_can_be_found_by_status_and_time(store: FakeStore) -> None:
    write(store, step())
    item = store.items[TABLE, KEY, "image"]
    assert item["status_shard"]["S"] == f"done#{row.shard(KEY)}"
    assert item["uploaded_at"]["S"] == "2026-01-31T12:00:00.000Z"
    assert "expires_at" not in item


def test_a_batch_reads_and_writes_each_image_once(store: FakeStore) -> None:
    expected = ["metadata", "sizes", "thumbnail"]
    results = [step(name, expected=expected) for name in expected]
    other = [step(key="incoming/b.jpg")]
    write(store, *results, *other)
    assert store.calls.count("get_item") == 2
    assert store.calls.count("put_item") == 2
    assert stored(store)["status"] == "done"
    assert [end["key"] for end in completions(store)] == [KEY, "incoming/b.jpg"]


def test_an_image_is_complete_when_its_last_step_is_in(store: FakeStore) -> None:
    write(store, step("sizes", expected=["metadata", "sizes"]))
    assert stored(store)["status"] == "in_flight"
    assert not completions(store)
    write(store, step("metadata", expected=["metadata", "sizes"]))
    assert stored(store)["status"] == "done"
    assert len(completions(store)) == 1


@pytest.mark.fault("F-20", "F-31")
def test_another_writer_in_between_loses_nothing(store: FakeStore) -> None:
    put = store.put_item
    raced: list[int] = []

    class Racing(FakeStore):
        def put_item(self, table: str, item: Any, *, rev: int | None) -> bool:
            if not raced:
                raced.append(1)
                write(store, step("metadata", expected=["metadata", "sizes"]))
            return put(table, item, rev=rev)

    racing = Racing(items=store.items, queues=store.queues, published=store.published)
    write(racing, step("sizes", expected=["metadata", "sizes"]))
    assert set(stored(store)["steps"]) == {"metadata", "sizes"}
    assert [end["status"] for end in completions(store)] == ["done"]


def test_a_newer_upload_sends_the_old_outputs_to_be_tidied_before_it_is_written_and_after(
    store: FakeStore,
) -> None:
    """Before, for a death in between; after, since tidy spares what the row still names when it looks."""
    write(store, step(number=1))
    store.calls.clear()
    write(store, step(number=2))
    assert store.take("tidy") == 2 * [results.outputs(KEY, ["sizes/a.1.jpg"], "v1")]
    changes = [call for call in store.calls if call in ("send:tidy", "put_item")]
    assert changes == ["send:tidy", "put_item", "send:tidy"]
    assert stored(store)["version_id"] == "v2"


@pytest.mark.fault("F-22")
def test_tidy_that_is_quicker_than_the_row_leaves_nothing_behind(store: FakeStore) -> None:
    put = store.put_item

    class Late(FakeStore):
        def put_item(self, table: str, item: Any, *, rev: int | None) -> bool:
            for order in store.take("tidy"):
                tidy.run(sqs_event(order), FakeContext(), store=store, settings=SETTINGS)
            return put(table, item, rev=rev)

    write(store, step(number=1))
    old = "sizes/a.1.jpg"
    store.put(VARIANTS, old, b"old", "image/jpeg")
    late = Late(objects=store.objects, items=store.items, queues=store.queues)
    write(late, step(number=2))
    assert old in store.keys(VARIANTS), "tidy had not come before the write"
    for order in store.take("tidy"):
        tidy.run(sqs_event(order), FakeContext(), store=store, settings=SETTINGS)
    assert old not in store.keys(VARIANTS)


@pytest.mark.fault("F-22")
def test_an_older_result_loses_and_its_outputs_are_tidied(store: FakeStore) -> None:
    write(store, step(number=2))
    store.published.clear()
    write(store, step(number=1))
    assert store.take("tidy") == [results.outputs(KEY, ["sizes/a.1.jpg"], "v1")]
    assert stored(store)["version_id"] == "v2"
    assert not completions(store)


def test_a_removal_leaves_a_tombstone_that_a_late_result_cannot_lift(store: FakeStore) -> None:
    write(store, gone(2))
    write(store, step(number=1))
    shown = stored(store)
    assert (shown["status"], shown["outputs"]) == ("removed", {})
    assert int(store.items[TABLE, KEY, "image"]["expires_at"]["N"]) > 1_777_000_000
    assert store.take("tidy") == [results.outputs(KEY, ["sizes/a.1.jpg"], "v1")]
    assert not completions(store)


@pytest.mark.fault("F-41")
def test_a_completion_that_was_not_published_is_published_at_the_next_delivery(
    store: FakeStore,
) -> None:
    store.break_on("publish:completed")
    assert write(store, step()) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert stored(store)["status"] == "done"
    assert write(store, step()) == {"batchItemFailures": []}
    assert [end["status"] for end in completions(store)] == ["done"]


def test_a_completion_has_one_id_however_often_it_is_told(store: FakeStore) -> None:
    write(store, step())
    write(store, step())
    one, other = completions(store)
    assert one["id"] == other["id"]


@pytest.mark.fault("F-30")
def test_a_table_that_is_down_keeps_the_messages_in_the_queue(store: FakeStore) -> None:
    store.break_on("put_item")
    assert write(store, step(), step("sizes", key="incoming/b.jpg")) == {
        "batchItemFailures": [{"itemIdentifier": "m1"}]
    }
    assert stored(store, "incoming/b.jpg")["status"] == "done"


def test_a_row_that_never_holds_still_is_tried_again_later(store: FakeStore) -> None:
    store.lose_races = True
    assert write(store, step()) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


@pytest.mark.parametrize(
    "body", ["not JSON", "{}", '{"kind": "step"}', '{"kind": "removed", "key": "a"}']
)
def test_a_malformed_result_comes_back_alone(store: FakeStore, body: str) -> None:
    assert write(store, body, step()) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert stored(store)["status"] == "done"


def test_orphans_are_tidied_unless_the_row_names_them(store: FakeStore) -> None:
    write(store, step(number=1))
    keys = ["sizes/a.1.jpg", "sizes/a.0.jpg"]
    write(store, {"v": 1, "kind": "orphans", "key": KEY, "keys": keys})
    assert store.take("tidy") == [results.outputs(KEY, ["sizes/a.0.jpg"])]
    write(store, {"v": 1, "kind": "orphans", "key": "incoming/none.jpg", "keys": ["thumb/x.jpg"]})
    assert store.take("tidy") == [results.outputs("incoming/none.jpg", ["thumb/x.jpg"])]
    assert stored(store)["status"] == "done"
    assert len(store.items) == 1


def test_a_pipeline_without_tidy_keeps_what_nobody_names(store: FakeStore) -> None:
    told = replace(SETTINGS, tidy_queue_url="")
    for number in (1, 2):
        event = sqs_event(step(number=number))
        writer.run(event, FakeContext(), store=store, settings=told)
    assert stored(store)["version_id"] == "v2"
    assert not store.queues


def test_rejections_say_why_and_are_told_once(store: FakeStore) -> None:
    error = {"class": "Rejected", "message": "it is damaged", "reason": "corrupt_image"}
    expected = ["metadata", "sizes"]
    write(store, step("sizes", "rejected", error=error, expected=expected))
    write(store, step("metadata", "rejected", error=error, expected=expected))
    (end,) = completions(store)
    assert (end["status"], end["reason"]) == ("rejected", "corrupt_image")
    assert stored(store)["reason"] == "corrupt_image"


def test_a_step_that_used_up_its_attempts_has_failed(store: FakeStore) -> None:
    error = {"class": "ZeroDivisionError", "message": "a fault of ours", "reason": ""}
    for attempt in range(3):
        sent = step("sizes", "retrying", attempt_id=f"r:{attempt}", max_attempts=3, error=error)
        write(store, sent)
    shown = stored(store)
    assert (shown["status"], shown["reason"]) == ("failed", "ZeroDivisionError: a fault of ours")
    assert [end["status"] for end in completions(store)] == ["failed"]


def test_two_copies_of_a_message_have_all_their_attempts(store: FakeStore) -> None:
    for attempt in ("m1:1", "m2:1", "m1:2", "m2:2"):
        write(store, step("sizes", "retrying", attempt_id=attempt, max_attempts=3))
    assert stored(store)["status"] == "in_flight"
    assert not completions(store)


EXPECTED = ["metadata", "sizes"]


@pytest.mark.parametrize("late", ["the upload's own", "the one that audit sent"])
def test_two_events_of_one_version_make_one_row_and_delete_nothing(
    store: FakeStore, late: str
) -> None:
    """Outputs have the same names whichever of the two made them: deleting one's would delete the other's."""
    own, sent = {"sequencer": f"{1:018X}"}, {"sequencer": ""}
    first, second = (sent, own) if late == "the upload's own" else (own, sent)
    write(store, step("sizes", expected=EXPECTED, **first))
    write(store, step("metadata", expected=EXPECTED, attempt_id="m2:1", **second))
    shown = stored(store)
    assert (shown["status"], shown["sequencer"].rstrip("0")) == ("done", "0" * 17 + "1")
    assert not store.take("tidy")
    write(store, step("sizes", expected=EXPECTED, attempt_id="m3:1", **second))
    assert [end["status"] for end in completions(store)] == ["done"]


def test_events_without_a_place_in_the_order_do_not_mix_two_versions(store: FakeStore) -> None:
    older, newer = ({"sequencer": "", "uploaded_at": f"2026-01-31T12:00:0{n}.000Z"} for n in (1, 2))
    write(store, step("sizes", number=2, expected=EXPECTED, **newer))
    write(store, step("metadata", number=1, expected=EXPECTED, **older))
    shown = stored(store)
    assert (shown["version_id"], sorted(shown["steps"])) == ("v2", ["sizes"])
    assert [told["keys"] for told in store.take("tidy")] == [["metadata/a.1.jpg"]]


@pytest.mark.fault("F-41")
def test_an_end_that_was_not_told_is_told_also_after_the_pipeline_was_edited(
    store: FakeStore,
) -> None:
    store.break_on("publish:completed")
    write(store, step(expected=["sizes"]))
    write(store, step(expected=["sizes", "tint"]))
    assert [end["status"] for end in completions(store)] == ["done"]


@pytest.mark.fault("F-46")
def test_a_failed_step_that_is_no_longer_in_the_pipeline_does_not_keep_an_image_from_its_end(
    store: FakeStore,
) -> None:
    write(store, step("tint", "failed", expected=["sizes", "tint"]))
    write(store, step("sizes", expected=["sizes"]))
    assert stored(store)["status"] == "done"


def test_an_image_that_failed_and_is_redriven_is_done_and_told_so(store: FakeStore) -> None:
    write(store, step("sizes", "failed", attempt_id="m1:5"))
    write(store, step("sizes", "done", attempt_id="m9:1"))
    assert stored(store)["status"] == "done"
    assert [end["status"] for end in completions(store)] == ["failed", "done"]


@pytest.mark.capability("S2-1")
def test_what_tags_led_to_joins_the_row_of_its_version(store: FakeStore) -> None:
    write(store, step())
    later = {"sequencer": "", "uploaded_at": "2026-03-01T00:00:00.000Z"}
    write(store, step("labels", **later))
    write(store, step("other", number=1, **{**later, "version_id": "v0"}))
    row = stored(store)
    assert set(row["steps"]) == {"sizes", "labels"}
    assert row["status"] == "done"
    assert row["uploaded_at"] == "2026-01-31T12:00:00.000Z"
