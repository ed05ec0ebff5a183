"""Removals become tombstones, and outputs that nobody names are deleted."""

from typing import Any

import pytest

from imgpipe.runtime import results, tidy, writer
from tests.fakes import (
    SETTINGS,
    UPLOADS,
    VARIANTS,
    FakeContext,
    FakeStore,
    s3_event,
    sns_envelope,
    sqs_event,
)
from tests.studio import result

KEY = "incoming/a.jpg"


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def run(store: FakeStore, *bodies: Any) -> dict[str, Any]:
    return dict(tidy.run(sqs_event(*bodies), FakeContext(), store=store, settings=SETTINGS))


@pytest.mark.capability("S2-13")
def test_a_removal_tells_the_writer(store: FakeStore) -> None:
    store.upload(UPLOADS, KEY, b"x")
    record = store.remove(UPLOADS, KEY)
    assert run(store, sns_envelope(s3_event(record))) == {"batchItemFailures": []}
    (told,) = store.take("results")
    assert (told["kind"], told["key"], told["version_id"]) == ("removed", KEY, "v2")
    assert told["sequencer"] == record["s3"]["object"]["sequencer"]


def test_a_removal_that_was_overtaken_by_a_new_upload_does_nothing(store: FakeStore) -> None:
    record = store.remove(UPLOADS, KEY)
    store.upload(UPLOADS, KEY, b"again")
    run(store, s3_event(record))
    assert not store.queues


def test_outputs_are_deleted_and_deleting_them_twice_is_fine(store: FakeStore) -> None:
    for name in ("thumb/a.jpg", "thumb/b.jpg"):
        store.put(VARIANTS, name, b"x", "image/jpeg")
    body = {"v": 1, "kind": "outputs", "keys": ["thumb/a.jpg"]}
    assert run(store, body, body) == {"batchItemFailures": []}
    assert store.keys(VARIANTS) == {"thumb/b.jpg"}


def test_outputs_of_what_is_the_current_version_stay(store: FakeStore) -> None:
    """Its own results, which are on their way, will name them."""
    store.upload(UPLOADS, KEY, b"x")
    store.put(VARIANTS, "thumb/a.jpg", b"x", "image/jpeg")
    run(store, results.outputs(KEY, ["thumb/a.jpg"], "v1"))
    assert store.keys(VARIANTS) == {"thumb/a.jpg"}
    run(store, results.outputs(KEY, ["thumb/a.jpg"], "v0"))
    assert not store.keys(VARIANTS)


def test_outputs_that_the_row_names_by_now_stay(store: FakeStore) -> None:
    named = f"thumb/{KEY}"
    for name in (named, "thumb/old.jpg"):
        store.put(VARIANTS, name, b"x", "image/jpeg")
    writer.run(sqs_event(result(KEY)), FakeContext(), store=store, settings=SETTINGS)
    run(store, results.outputs(KEY, [named, "thumb/old.jpg"]))
    assert store.keys(VARIANTS) == {named}


def test_the_operators_own_notes_are_never_deleted(store: FakeStore) -> None:
    store.put(VARIANTS, "ops/lock.json", b"x", "application/json")
    run(store, {"v": 1, "kind": "outputs", "keys": ["ops/lock.json"]})
    assert store.keys(VARIANTS) == {"ops/lock.json"}


def test_a_creation_on_the_removal_topic_is_ignored(store: FakeStore) -> None:
    run(store, s3_event(store.upload(UPLOADS, KEY, b"x")))
    assert not store.queues


@pytest.mark.parametrize("call", ["exists", "send:results", "delete"])
def test_a_call_that_fails_brings_the_message_back(store: FakeStore, call: str) -> None:
    removal = s3_event(store.remove(UPLOADS, KEY))
    body = {"v": 1, "kind": "outputs", "keys": ["a"]} if call == "delete" else removal
    store.break_on(call)
    assert run(store, body) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert run(store, body) == {"batchItemFailures": []}


def test_an_orphan_that_a_row_of_its_uploads_names_by_now_stays(store: FakeStore) -> None:
    named = f"thumb/{KEY}"
    for name in (named, "thumb/old.jpg"):
        store.put(VARIANTS, name, b"x", "image/jpeg")
    writer.run(sqs_event(result(KEY)), FakeContext(), store=store, settings=SETTINGS)
    run(store, results.unnamed(["incoming/a.png", KEY], [named, "thumb/old.jpg"]))
    assert store.keys(VARIANTS) == {named}


def test_an_order_that_takes_an_output_for_its_upload_deletes_nothing(store: FakeStore) -> None:
    """So older audits asked: no row has such a key, so none would have protected what it names."""
    store.put(VARIANTS, "thumb/a.jpg", b"x", "image/jpeg")
    run(store, results.outputs("thumb/a.jpg", ["thumb/a.jpg"]))
    assert store.keys(VARIANTS) == {"thumb/a.jpg"}
