"""The real store against moto: what is written can be read, and refusals are told apart from faults."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from imgpipe.runtime.errors import Transient
from imgpipe.runtime.store import AwsSource, AwsStore, Label, Outgoing, batches, shared

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET, TABLE = "uploads", "images"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStore]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield AwsStore()


@pytest.fixture
def bucket(store: AwsStore) -> str:
    boto3.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return BUCKET


@pytest.fixture
def queue(store: AwsStore) -> str:
    return str(boto3.client("sqs").create_queue(QueueName="results")["QueueUrl"])


@pytest.fixture
def table(store: AwsStore) -> str:
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )
    return TABLE


def test_an_object_is_opened_before_it_is_read(store: AwsStore, bucket: str) -> None:
    store.put(bucket, "a b+ü.jpg", b"bytes", "image/jpeg")
    source = store.open(bucket, "a b+ü.jpg")
    assert source is not None
    assert (source.size, source.version_id) == (5, None)
    assert source.etag.isalnum()
    assert source.uploaded_at.endswith("Z")
    assert source.read() == b"bytes"
    source.close()
    assert (
        boto3.client("s3").head_object(Bucket=bucket, Key="a b+ü.jpg")["ContentType"]
        == "image/jpeg"
    )


def test_a_versioned_object_names_its_version(store: AwsStore, bucket: str) -> None:
    s3 = boto3.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["VersionId"]
    source = store.open(bucket, "a")
    assert source is not None
    assert source.version_id == version == store.version(bucket, "a")
    s3.delete_object(Bucket=bucket, Key="a")
    assert store.open(bucket, "a") is None
    assert store.version(bucket, "a") is None
    assert not store.exists(bucket, "a")


def test_what_is_not_there_is_none_and_what_cannot_be_asked_is_an_error(
    store: AwsStore, bucket: str
) -> None:
    assert store.open(bucket, "none") is None
    assert not store.exists(bucket, "none")
    with pytest.raises(Exception, match="NoSuchBucket"):
        store.open("no-such-bucket", "a")


def test_deleting_is_done_in_batches_and_may_be_repeated(store: AwsStore, bucket: str) -> None:
    keys = [f"thumb/{number}" for number in range(3)]
    for key in keys:
        store.put(bucket, key, b"x", "image/jpeg")
    store.delete(bucket, keys)
    store.delete(bucket, keys)
    assert not any(store.exists(bucket, key) for key in keys)


def test_messages_arrive_with_their_attributes(store: AwsStore, queue: str) -> None:
    store.send(
        queue, [Outgoing(json.dumps({"n": n}), {"key": "ü 🌊", "empty": ""}) for n in range(23)]
    )
    sqs = boto3.client("sqs")
    seen: set[int] = set()
    while found := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        for message in found:
            seen.add(json.loads(message["Body"])["n"])
            assert message["MessageAttributes"]["key"]["StringValue"] == "ü 🌊"
            assert "empty" not in message["MessageAttributes"]
    assert seen == set(range(23))


@pytest.mark.parametrize(
    ("sizes", "calls"),
    [([1] * 10, 1), ([1] * 11, 2), ([200_000, 200_000], 2), ([], 0), ([400_000], 1)],
)
def test_messages_are_sent_in_as_few_calls_as_fit(sizes: list[int], calls: int) -> None:
    messages = [Outgoing("x" * size) for size in sizes]
    groups = batches(messages)
    assert len(groups) == calls
    assert [message for group in groups for message in group] == messages


def test_rows_are_written_only_over_the_revision_that_was_read(store: AwsStore, table: str) -> None:
    def item(rev: int, text: str) -> dict[str, Any]:
        return {"pk": {"S": "k"}, "sk": {"S": "image"}, "rev": {"N": str(rev)}, "t": {"S": text}}

    assert store.get_item(table, "k", "image") is None
    assert not store.put_item(table, item(1, "no row yet"), rev=0)
    assert store.put_item(table, item(0, "first"), rev=None)
    assert not store.put_item(table, item(0, "again"), rev=None)
    assert store.put_item(table, item(1, "second"), rev=0)
    assert not store.put_item(table, item(1, "late"), rev=0)
    assert store.get_item(table, "k", "image") == item(1, "second")


def test_notices_carry_subject_and_kind(store: AwsStore, queue: str) -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name="notices")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    store.publish(topic, "in words", {"kind": "uploaded"}, "Received: a.jpg")
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    envelope = json.loads(message["Body"])
    assert (envelope["Subject"], envelope["Message"]) == ("Received: a.jpg", "in words")
    assert envelope["MessageAttributes"]["kind"]["Value"] == "uploaded"


class _Broken:
    """A body that ends early, or breaks."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data

    def read(self) -> bytes:
        if self.data is None:
            raise OSError("connection reset")
        return self.data


@pytest.mark.parametrize("data", [b"half", None])
@pytest.mark.fault("F-13")
def test_half_a_body_is_tried_again(data: bytes | None) -> None:
    from datetime import UTC, datetime

    answer = {"Body": _Broken(data), "ContentLength": 8, "LastModified": datetime.now(UTC)}
    with pytest.raises(Transient):
        AwsSource(answer).read()


def test_clients_are_made_when_needed_and_once(store: AwsStore, bucket: str) -> None:
    assert not store._clients
    store.exists(bucket, "a")
    made = dict(store._clients)
    store.exists(bucket, "a")
    assert set(made) == {"s3"}
    assert store._clients == made


SEEN = {
    "Labels": [
        {
            "Name": "Dog",
            "Confidence": 98.13,
            "Instances": [
                {
                    "BoundingBox": {"Width": 0.5, "Height": 0.6, "Left": 0.1, "Top": 0.2},
                    "Confidence": 98.13,
                }
            ],
            "Parents": [{"Name": "Animal"}],
            "Aliases": [],
            "Categories": [{"Name": "Animals and Pets"}],
        },
        {"Name": "Grass", "Confidence": 71.0, "Instances": [], "Parents": [], "Categories": []},
    ],
    "LabelModelVersion": "3.0",
}
"""An answer in the shape that the SDK's model of DetectLabels gives."""


@pytest.mark.capability("S2-5")
def test_a_model_is_shown_bytes_and_names_what_it_sees(store: AwsStore) -> None:
    with Stubber(store.client("rekognition")) as stub:
        asked = {"Image": {"Bytes": b"jpeg"}, "MaxLabels": 20, "MinConfidence": 70.0}
        stub.add_response("detect_labels", SEEN, asked)
        assert store.labels(b"jpeg") == [Label("Dog", 98.13), Label("Grass", 71.0)]
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["InvalidImageFormatException", "ImageTooLargeException"])
def test_a_picture_that_the_model_cannot_read_has_no_labels(store: AwsStore, code: str) -> None:
    with Stubber(store.client("rekognition")) as stub:
        stub.add_client_error("detect_labels", code, http_status_code=400)
        assert store.labels(b"jpeg") == []


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_model_that_does_not_answer_is_an_error(store: AwsStore, code: str) -> None:
    with Stubber(store.client("rekognition")) as stub:
        for _ in range(4):  # botocore tries a throttled call again
            stub.add_client_error("detect_labels", code, http_status_code=400)
        with pytest.raises(ClientError, match=code):
            store.labels(b"jpeg")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_process_has_connections_of_its_own() -> None:
    mine = shared()
    pid = os.fork()
    if not pid:
        os._exit(shared() is mine)
    assert os.waitpid(pid, 0)[1] == 0
    assert shared() is mine
