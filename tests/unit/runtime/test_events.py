"""Every envelope tells of the same change."""

import json
from datetime import datetime

import pytest

from imgpipe.runtime import events
from imgpipe.runtime.errors import Malformed
from tests.fakes import s3_event, s3_record, sns_envelope, sns_event, sqs_event

KEY = "incoming/summer holiday/a+b %41 ü 🌊.jpg"
S3 = s3_event(s3_record("uploads", KEY, number=7, size=12, version_id="v7"))
EVENTBRIDGE = {
    "version": "0",
    "id": "e1",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "time": "2026-01-31T12:00:07Z",
    "detail": {
        "bucket": {"name": "uploads"},
        "object": {
            "key": KEY,
            "size": 12,
            "etag": "etag-7",
            "version-id": "v7",
            "sequencer": f"{7:018X}",
        },
    },
}
FAILED = {
    "version": "1.0",
    "requestContext": {"condition": "RetriesExhausted"},
    "requestPayload": sns_event(S3),
    "responsePayload": {"errorMessage": "boom"},
}
ENVELOPES = {
    "S3": S3,
    "SNS(S3)": sns_event(S3),
    "SQS(S3)": sqs_event(S3),
    "SQS(SNS(S3))": sqs_event(sns_envelope(S3)),
    "EventBridge": EVENTBRIDGE,
    "SQS(EventBridge)": sqs_event(EVENTBRIDGE),
    "SNS envelope": sns_envelope(S3),
    "a failed invocation": FAILED,
    "SQS(a failed invocation)": sqs_event(FAILED),
}


@pytest.mark.capability("S2-10")
@pytest.mark.parametrize("name", ENVELOPES)
@pytest.mark.fault("F-25")
def test_every_envelope_tells_of_the_same_change(name: str) -> None:
    event = ENVELOPES[name]
    (message,) = events.messages(event, "request-1")
    (change,) = events.changes(message.document())
    assert (change.kind, change.bucket, change.key) == ("created", "uploads", KEY)
    assert (change.version_id, change.size, change.etag) == ("v7", 12, "etag-7")
    assert change.sequencer == f"{7:018X}"
    assert datetime.fromisoformat(change.at).second == 7


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_whole_invocation_can_be_read_at_once(name: str) -> None:
    (change,) = events.changes(ENVELOPES[name])
    assert change.key == KEY


def test_an_eventbridge_key_is_left_alone_and_its_other_spelling_kept() -> None:
    (change,) = events.changes(EVENTBRIDGE)
    assert change.key == KEY
    assert change.alternative_key == "incoming/summer holiday/a b A ü 🌊.jpg"


def test_messages_of_a_queue_carry_what_the_queue_knows() -> None:
    first, second = events.messages(sqs_event(S3, S3, receives=3), "request-1")
    assert (first.id, second.id) == ("m1", "m2")
    assert first.queued
    assert first.receives == 3
    assert first.sent_at == "2026-01-31T12:00:00.000Z"


def test_a_direct_message_is_known_by_the_id_of_its_publication_or_of_the_request() -> None:
    (from_topic,) = events.messages(sns_event(S3, "sns-9"), "request-1")
    (from_s3,) = events.messages(S3, "request-1")
    assert (from_topic.id, from_topic.queued) == ("sns-9", False)
    assert (from_s3.id, from_s3.queued) == ("request-1", False)


@pytest.mark.parametrize(
    "quiet",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"},
        sns_envelope({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
        {"Records": []},
    ],
)
@pytest.mark.fault("F-25")
def test_what_tells_of_nothing_is_no_error(quiet: dict[str, object]) -> None:
    assert events.changes(quiet) == ()


def nested(depth: int) -> dict[str, object]:
    document: dict[str, object] = S3
    for _ in range(depth):
        document = sns_envelope(document)
    return document


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "[]",
        "3",
        "null",
        "{}",
        '{"Records": ["text"]}',
        '{"Records": [{"s3": {}}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": 3}}}]}',
        '{"Records": [{"eventSource": "aws:sqs", "body": "not JSON"}]}',
        '{"source": "aws.s3", "detail": {}}',
        '{"Type": "Notification", "Message": "not JSON"}',
        json.dumps(nested(9)),
        "[" * 100_000,
    ],
)
@pytest.mark.fault("F-25")
def test_a_malformed_body_is_told_as_such(body: str) -> None:
    (message,) = events.messages(sqs_event(body), "request-1")
    with pytest.raises(Malformed):
        events.changes(message.document())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ObjectCreated:Post", "created"),
        ("s3:ObjectCreated:CompleteMultipartUpload", "created"),
        ("ObjectRemoved:Delete", "removed"),
        ("LifecycleExpiration:DeleteMarkerCreated", "removed"),
        ("ObjectRestore:Completed", "restored"),
        ("ObjectTagging:Put", "tagged"),
        ("", "other"),
    ],
)
def test_event_names_are_created_removed_or_other(name: str, kind: str) -> None:
    (change,) = events.changes(s3_event(s3_record("uploads", "a", name=name)))
    assert change.kind == kind


def test_an_event_of_an_unversioned_bucket_has_no_version() -> None:
    record = s3_record("uploads", "a", version_id="null")
    (change,) = events.changes(s3_event(record))
    assert change.version_id is None
