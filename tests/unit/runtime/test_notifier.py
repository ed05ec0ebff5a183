"""People hear of an upload in words, and once."""

import json
from dataclasses import replace
from typing import Any

import pytest

from imgpipe.runtime import items, notices, notifier
from tests.fakes import (
    SETTINGS,
    TABLE,
    UPLOADS,
    BrokenError,
    FakeContext,
    FakeStore,
    s3_event,
    sns_envelope,
    sns_event,
    sqs_event,
)

KEY = "incoming/holiday/a b.jpg"
OUTPUT = {"key": "thumb/a.jpg", "width": 200, "height": 150, "bytes": 8123, "format": "jpeg"}
DONE = {
    "v": 1,
    "id": "1",
    "key": KEY,
    "status": "done",
    "version_id": "v1",
    "sequencer": "01",
    "size": 3_196_160,
    "outputs": {"thumb": OUTPUT},
    "reason": None,
    "facts": {"width": 4288, "height": 2848, "format": "jpeg"},
}


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def run(store: FakeStore, message: dict[str, Any], **changed: Any) -> None:
    told = replace(SETTINGS, **changed)
    notifier.run(sns_event(message), FakeContext(), store=store, settings=told)


@pytest.mark.capability("S0-4")
def test_an_upload_is_confirmed_in_words(store: FakeStore) -> None:
    run(store, s3_event(store.upload(UPLOADS, KEY, b"x" * 1500)))
    (sent,) = store.published
    assert sent.topic == "notices"
    assert sent.attributes == {"kind": "uploaded"}
    assert sent.subject == "Received: holiday/a b.jpg"
    assert "holiday/a b.jpg (1.5 kB)" in sent.message
    assert "{" not in sent.message


@pytest.mark.capability("S2-15")
def test_a_completion_says_what_was_made(store: FakeStore) -> None:
    run(store, DONE)
    (sent,) = store.published
    assert sent.attributes == {"kind": "completed"}
    assert sent.subject == "Ready: holiday/a b.jpg"
    assert "4288 x 2848 pixels, 3.2 MB JPEG" in sent.message
    assert "thumb  200 x 150, 8.1 kB" in sent.message


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ("rejected", "truncated_image", "the file is cut short"),
        ("failed", "TimeoutError: table", "a fault on our side"),
        ("rejected", None, "no reason was given"),
    ],
)
def test_a_failure_says_why(store: FakeStore, status: str, reason: str | None, said: str) -> None:
    run(store, {**DONE, "status": status, "reason": reason, "outputs": {}})
    (sent,) = store.published
    assert sent.attributes == {"kind": "failed"}
    assert sent.subject == "Not processed: holiday/a b.jpg"
    assert said in sent.message


def test_a_person_hears_once_however_often_the_event_comes(store: FakeStore) -> None:
    upload = s3_event(store.upload(UPLOADS, KEY, b"x"))
    for message in (upload, DONE, upload, DONE):
        run(store, message)
    assert [sent.attributes["kind"] for sent in store.published] == ["uploaded", "completed"]


def burst(count: int, **changed: Any) -> list[dict[str, Any]]:
    return [{**DONE, "key": f"incoming/{number}.jpg", **changed} for number in range(count)]


def at_once(store: FakeStore, *messages: dict[str, Any], **changed: Any) -> None:
    told = replace(SETTINGS, **changed)
    bodies = [sns_envelope(message) for message in messages]
    notifier.run(sqs_event(*bodies), FakeContext(), store=store, settings=told)


@pytest.mark.capability("S2-14")
def test_a_burst_is_told_in_one_message_that_lists_it(store: FakeStore) -> None:
    broken = burst(1, status="rejected", reason="truncated_image", key="incoming/broken.jpg")
    at_once(store, *burst(30), *broken)
    digest, single = store.published
    assert digest.subject == "Ready: 30 images"
    assert "  19.jpg (3.2 MB): 1 picture made" in digest.message
    assert "20.jpg" not in digest.message
    assert "and 10 more." in digest.message
    assert single.subject == "Not processed: broken.jpg"
    at_once(store, *burst(30))
    assert len(store.published) == 2  # nobody hears it again


def test_a_few_are_told_one_by_one(store: FakeStore) -> None:
    at_once(store, *burst(5))
    assert len(store.published) == 5


def test_what_can_not_be_told_comes_back_alone(store: FakeStore) -> None:
    event = sqs_event({"nonsense": True}, DONE)
    answer = notifier.run(event, FakeContext(), store=store, settings=SETTINGS)
    assert len(answer["batchItemFailures"]) == 1
    assert len(store.published) == 1


@pytest.mark.capability("S2-14")
def test_every_kind_of_subscriber_gets_a_form_of_its_own(store: FakeStore) -> None:
    run(store, DONE, link_s=3600)
    [sent] = store.published
    assert sent.forms["sms"] == "Ready: holiday/a b.jpg (3.2 MB): 1 picture made"
    assert json.loads(sent.forms["GCM"])["notification"]["title"] == "Ready: holiday/a b.jpg"
    assert json.loads(sent.forms["APNS"])["aps"]["alert"]["body"].startswith("holiday/a b.jpg")
    assert "within an hour:\nhttps://variants/thumb/a.jpg?for=3600\n" in sent.message
    assert "https" not in sent.forms["sms"]


@pytest.mark.capability("S0-14")
def test_an_uploader_hears_of_the_own_upload_if_the_address_came_with_it(store: FakeStore) -> None:
    store.given[UPLOADS, KEY] = {"notify": "Ann@Photos.example"}
    run(store, DONE, notices=(), uploaders=("ann@photos.example",))
    run(store, {**DONE, "key": "incoming/b.jpg"}, notices=(), uploaders=("ann@photos.example",))
    [sent] = store.published
    assert sent.attributes == {"kind": "completed", "uploader": "ann@photos.example"}


def test_an_address_that_nobody_declared_is_written_to_by_nobody(store: FakeStore) -> None:
    store.given[UPLOADS, KEY] = {"notify": "stranger@elsewhere.example"}
    run(store, DONE, uploaders=("ann@photos.example",))
    [sent] = store.published
    assert sent.attributes == {"kind": "completed"}


def test_a_new_upload_under_the_same_key_is_news(store: FakeStore) -> None:
    run(store, DONE)
    run(store, {**DONE, "version_id": "v2", "sequencer": "02"})
    assert len(store.published) == 2


def test_the_claim_says_whether_the_notice_was_sent(store: FakeStore) -> None:
    store.break_on("publish:notices")
    with pytest.raises(BrokenError):
        run(store, DONE)
    (claim,) = store.items.values()
    assert "sent_at" not in items.decode(claim)
    store.items.clear()
    run(store, DONE)
    (claim,) = store.items.values()
    decoded = items.decode(claim)
    assert decoded["sent_at"] >= decoded["claimed_at"]
    assert (TABLE, KEY, decoded["sk"]) in store.items
    assert decoded["sk"].startswith("notice#completed#v1")


def test_nobody_asked_and_nothing_is_claimed(store: FakeStore) -> None:
    run(store, DONE, notices=("uploaded",))
    assert not store.published
    assert not store.items


def test_a_subject_is_one_line_of_ascii_and_fits(store: FakeStore) -> None:
    key = "incoming/\n" + "ü🌊" * 200 + "\r\nBcc: x.jpg"
    run(store, {**DONE, "key": key})
    (sent,) = store.published
    assert len(sent.subject) < 100
    assert sent.subject.isascii()
    assert sent.subject.isprintable()
    assert "\nBcc" not in sent.message


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345, "12 kB"),
        (999_900, "1.0 MB"),
        (5 * 10**12, "5000 GB"),
    ],
)
def test_sizes_read_as_people_say_them(count: int, shown: str) -> None:
    assert notices.size(count) == shown
