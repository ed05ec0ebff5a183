"""What happens to an upload, whatever happens to the function."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from imgpipe.runtime import steps, writer
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.made import Made, Picture
from imgpipe.runtime.settings import Limits
from tests.fakes import (
    SETTINGS,
    UPLOADS,
    VARIANTS,
    BrokenError,
    FakeContext,
    FakeStore,
    s3_event,
    s3_record,
    sns_envelope,
    sns_event,
    sqs_event,
)

KEY = "incoming/a b+c.jpg"
GOOD, BAD, TOO_MUCH, BROKEN = b"good", b"bad", b"too much", b"broken"


def make(data: bytes, wanted: Mapping[str, Any], limits: Limits) -> dict[str, Made]:
    """Stand in for the image core: what the bytes say is what happens."""
    if data == BAD:
        raise Rejected(Reason.CORRUPT_IMAGE, "it says bad", "decoder error -2")
    if data == TOO_MUCH:
        raise MemoryError
    if data == BROKEN:
        raise ZeroDivisionError("a fault of ours")
    picture = Picture(data=b"small " + data, width=2, height=1, format="jpeg")
    return {step: Made(variants={"medium": picture}, facts={"width": 4}) for step in wanted}


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def run(store: FakeStore, event: dict[str, Any]) -> dict[str, Any]:
    return dict(steps.run(event, FakeContext(), make, store=store, settings=SETTINGS))


def results(store: FakeStore) -> list[dict[str, Any]]:
    return store.take("results")


def test_an_upload_becomes_variants_and_a_result(store: FakeStore) -> None:
    record = store.upload(UPLOADS, KEY, GOOD)
    assert run(store, sqs_event(sns_envelope(s3_event(record)))) == {"batchItemFailures": []}
    (result,) = results(store)
    made = result["outputs"]["medium"]
    assert result["status"] == "done"
    assert (result["key"], result["version_id"], result["size"]) == (KEY, "v1", len(GOOD))
    assert (result["step"], result["function"]) == ("sizes", "images")
    assert "expected" not in result  # only the writer knows
    assert result["facts"] == {"width": 4}
    assert made["key"].startswith("medium/a b+c.")
    assert made["key"].endswith(".jpg")
    assert store.objects[VARIANTS, made["key"]].data == b"small good"
    assert store.content_types[VARIANTS, made["key"]] == "image/jpeg"


@pytest.mark.capability("S1-10")
@pytest.mark.fault("F-19")
def test_a_second_delivery_writes_the_same_keys(store: FakeStore) -> None:
    event = sqs_event(s3_event(store.upload(UPLOADS, KEY, GOOD)))
    run(store, event)
    run(store, event)
    one, other = results(store)
    assert one["outputs"] == other["outputs"]
    assert len(store.keys(VARIANTS)) == 1


@pytest.mark.fault("F-47")
def test_the_same_bytes_put_again_after_a_delete_get_another_key(store: FakeStore) -> None:
    run(store, sqs_event(s3_event(store.upload(UPLOADS, KEY, GOOD))))
    store.remove(UPLOADS, KEY)
    run(store, sqs_event(s3_event(store.upload(UPLOADS, KEY, GOOD))))
    one, other = results(store)
    assert one["outputs"]["medium"]["key"] != other["outputs"]["medium"]["key"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (BAD, "corrupt_image"),
        (TOO_MUCH, "memory_limit"),
        (b"", "empty_file"),
        (b"x" * 2000, "too_large"),
    ],
)
def test_a_bad_upload_is_rejected_with_its_reason(
    store: FakeStore, data: bytes, reason: str
) -> None:
    body = sns_envelope(s3_event(store.upload(UPLOADS, KEY, data)))
    told = _with_limit(1000)
    done = steps.run(sqs_event(body), FakeContext(), make, store=store, settings=told)
    (letter,) = store.queues["rejected"]
    (result,) = results(store)
    assert done == {"batchItemFailures": []}
    assert json.loads(letter.body) == body
    assert letter.attributes["reason"] == reason
    assert letter.attributes["key"] == KEY
    assert letter.attributes["version_id"] == "v1"
    assert (letter.attributes["branch"], letter.attributes["step"]) == ("images", "sizes")
    assert letter.attributes["first_seen"] == "2026-01-31T12:00:00.000Z"
    assert (result["status"], result["error"]["reason"]) == ("rejected", reason)


def test_a_decoders_own_words_are_in_the_log_alone(
    store: FakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    run(store, sqs_event(sns_envelope(s3_event(store.upload(UPLOADS, KEY, BAD)))))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (refused,) = [line for line in lines if line["event"] == "refused"]
    assert (refused["key"], refused["detail"]) == (KEY, "decoder error -2")
    assert "decoder error" not in store.queues["rejected"][0].attributes["message"]
    assert "decoder error" not in json.dumps(results(store))


def _with_limit(max_bytes: int) -> Any:
    from dataclasses import replace

    return replace(SETTINGS, limits=Limits(max_bytes=max_bytes, isolate=False))


def test_the_letter_goes_out_before_the_result(store: FakeStore) -> None:
    run(store, sqs_event(s3_event(store.upload(UPLOADS, KEY, BAD))))
    sent = [call for call in store.calls if call.startswith("send:")]
    assert sent == ["send:rejected", "send:results"]


@pytest.mark.fault("F-33")
def test_a_rejection_that_cannot_be_sent_is_not_acknowledged(store: FakeStore) -> None:
    event = sqs_event(s3_event(store.upload(UPLOADS, KEY, BAD)))
    store.break_on("send:rejected")
    assert run(store, event) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert [result["status"] for result in results(store)] == ["retrying"]
    assert run(store, event) == {"batchItemFailures": []}


@pytest.mark.capability("S2-12")
@pytest.mark.fault("F-24")
def test_one_poison_message_in_a_batch_leaves_the_others_alone(store: FakeStore) -> None:
    bodies: list[Any] = [
        s3_event(store.upload(UPLOADS, f"incoming/{n}.jpg", GOOD)) for n in range(4)
    ]
    bodies[1] = s3_event(store.upload(UPLOADS, "incoming/1.jpg", BROKEN))
    bodies[2] = "not JSON"
    done = run(store, sqs_event(*bodies))
    statuses = {result["key"]: result["status"] for result in results(store)}
    assert done == {"batchItemFailures": [{"itemIdentifier": "m2"}, {"itemIdentifier": "m3"}]}
    assert statuses == {
        "incoming/0.jpg": "done",
        "incoming/1.jpg": "retrying",
        "incoming/3.jpg": "done",
    }


@pytest.mark.parametrize(("receives", "status"), [(1, "retrying"), (4, "retrying"), (5, "failed")])
def test_a_failed_attempt_says_so_and_the_last_one_is_final(
    store: FakeStore, receives: int, status: str
) -> None:
    body = s3_event(store.upload(UPLOADS, KEY, BROKEN))
    run(store, sqs_event(body, receives=receives))
    (result,) = results(store)
    assert result["status"] == status
    assert result["attempt_id"] == f"m1:{receives}"
    assert result["max_attempts"] == 5
    assert result["error"] == {
        "class": "ZeroDivisionError",
        "message": "a fault of ours",
        "reason": "",
    }


def test_a_direct_invocation_raises_so_that_lambda_tries_again(store: FakeStore) -> None:
    event = sns_event(s3_event(store.upload(UPLOADS, KEY, BROKEN)))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run(store, event)
    one, other = results(store)
    assert (one["status"], one["max_attempts"]) == ("retrying", 3)
    assert (
        one["attempt_id"] != other["attempt_id"]
    )  # each try counts, though the request is the same


def test_a_direct_invocation_with_a_bad_upload_is_over(store: FakeStore) -> None:
    run(store, sns_event(s3_event(store.upload(UPLOADS, KEY, BAD))))
    assert [result["status"] for result in results(store)] == ["rejected"]


@pytest.mark.fault("F-23")
def test_an_upload_that_is_gone_is_acknowledged_without_a_result(store: FakeStore) -> None:
    record = store.upload(UPLOADS, KEY, GOOD)
    store.remove(UPLOADS, KEY)
    assert run(store, sqs_event(s3_event(record))) == {"batchItemFailures": []}
    assert [each["kind"] for each in results(store)] == ["orphans"]
    assert not store.keys(VARIANTS)


@pytest.mark.fault("F-22")
def test_a_version_that_was_replaced_is_left_to_the_event_of_the_newer_one(
    store: FakeStore,
) -> None:
    old = store.upload(UPLOADS, KEY, GOOD)
    new = store.upload(UPLOADS, KEY, b"newer")
    run(store, sqs_event(s3_event(old)))
    assert [each["kind"] for each in results(store)] == ["orphans"]
    run(store, sqs_event(s3_event(new)))
    assert [result["version_id"] for result in results(store)] == ["v2"]


def test_what_an_attempt_that_died_has_stored_is_reported_when_its_upload_is_gone(
    store: FakeStore,
) -> None:
    event = sqs_event(s3_event(store.upload(UPLOADS, KEY, GOOD)))
    store.break_on("send:results")
    run(store, event)
    (left,) = store.keys(VARIANTS)
    store.remove(UPLOADS, KEY)
    run(store, event)
    assert results(store) == [{"v": 1, "kind": "orphans", "key": KEY, "keys": [left]}]


def test_a_folder_made_in_the_console_is_no_upload(store: FakeStore) -> None:
    run(store, sqs_event(s3_event(store.upload(UPLOADS, "incoming/holiday/", b""))))
    assert not store.queues


@pytest.mark.fault("F-22")
def test_what_the_event_announced_gives_way_to_what_was_read(store: FakeStore) -> None:
    record = store.upload(UPLOADS, KEY, GOOD)
    record["s3"]["object"] |= {"size": 999_999, "eTag": "another"}
    run(store, sqs_event(s3_event(record)))
    (result,) = results(store)
    assert (result["size"], result["etag"]) == (len(GOOD), store.objects[UPLOADS, KEY].etag)


@pytest.mark.fault("F-26")
def test_of_many_changes_in_one_message_each_gets_its_own_end(store: FakeStore) -> None:
    records = [
        store.upload(UPLOADS, "incoming/good.jpg", GOOD),
        store.upload(UPLOADS, "incoming/bad.jpg", BAD),
        store.upload(UPLOADS, "incoming/fine.jpg", GOOD),
    ]
    assert run(store, sqs_event(s3_event(*records))) == {"batchItemFailures": []}
    assert [result["status"] for result in results(store)] == ["done", "rejected", "done"]
    (letter,) = store.queues["rejected"]
    assert json.loads(letter.body) == s3_event(records[1])


def test_removals_and_other_changes_make_no_variants(store: FakeStore) -> None:
    record = store.upload(UPLOADS, KEY, GOOD)
    for name in ("ObjectRemoved:Delete", "ObjectTagging:Put"):
        assert run(store, sqs_event(s3_event({**record, "eventName": name}))) == {
            "batchItemFailures": []
        }
    assert not store.queues


@pytest.mark.parametrize("call", ["open", "put", "send:results"])
@pytest.mark.fault("F-11", "F-32")
def test_whatever_call_fails_the_message_comes_back_and_then_ends_well(
    store: FakeStore, call: str
) -> None:
    event = sqs_event(s3_event(store.upload(UPLOADS, KEY, GOOD)))
    store.break_on(call)
    assert run(store, event) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert run(store, event) == {"batchItemFailures": []}
    assert results(store)[-1]["status"] == "done"
    assert len(store.keys(VARIANTS)) == 1


def test_an_eventbridge_key_that_arrives_encoded_is_found_all_the_same(store: FakeStore) -> None:
    store.upload(UPLOADS, KEY, GOOD)
    encoded = {"key": "incoming/a%20b%2Bc.jpg", "version-id": "v1", "sequencer": "01"}
    detail = {"bucket": {"name": UPLOADS}, "object": encoded}
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    run(store, sqs_event(event))
    assert [result["key"] for result in results(store)] == [KEY]


def test_the_log_names_message_key_and_step_before_any_work(
    store: FakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.break_on("open")
    run(store, sqs_event(s3_event(store.upload(UPLOADS, KEY, GOOD))))
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["event"] == "start"
    assert (first["message_id"], first["key"], first["step"]) == ("m1", KEY, "sizes")


def test_a_broken_results_queue_never_hides_the_first_fault(store: FakeStore) -> None:
    store.break_on("send:results")
    with pytest.raises(BrokenError) as caught:
        run(store, sns_event(s3_event(store.upload(UPLOADS, KEY, BROKEN))))
    assert isinstance(caught.value.__context__, ZeroDivisionError)


@pytest.mark.capability("S2-1")
@pytest.mark.parametrize(
    ("on", "name"), [("tagged", "ObjectTagging:Put"), ("restored", "ObjectRestore:Completed")]
)
def test_changed_tags_and_restored_archives_start_their_own_steps_alone(
    store: FakeStore, on: str, name: str
) -> None:
    created = store.upload(UPLOADS, KEY, GOOD)
    told = s3_record(UPLOADS, KEY, number=9, name=name, version_id="v1")
    event = sqs_event(s3_event(created), s3_event(told))
    steps.run(event, FakeContext(), make, store=store, settings=replace(SETTINGS, on=on))
    [result] = results(store)
    assert (result["version_id"], result["sequencer"]) == ("v1", "")  # its version's holds


@pytest.mark.fault("F-42")
def test_an_event_older_than_any_tombstone_makes_no_row_of_what_was_removed(
    store: FakeStore,
) -> None:
    """A letter that is redriven after months: the upload is gone, and so is its tombstone."""
    record = store.upload(UPLOADS, KEY, b"good")
    store.remove(UPLOADS, KEY)
    run(store, s3_event(record))
    heard = store.take("results")
    assert {each["kind"] for each in heard} <= {"orphans"}
    told = {"store": store, "settings": SETTINGS}
    writer.run(sqs_event(*heard), FakeContext(), **told)
    assert not store.items
