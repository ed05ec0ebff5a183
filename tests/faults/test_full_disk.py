"""A disk that takes no more: changes are refused, reads go on, and all is well when there is room again."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.faults.cloud import Cloud, bodies, make_queue, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits the size of the server's files"),
]

BUCKET, TABLE = "full-uploads", "full-rows"
FULL, ALMOST_FULL = 1_000, 300_000


@contextmanager
def files_up_to(cloud: Cloud, size: int) -> Iterator[None]:
    """Let no file of the server's grow beyond `size` bytes."""
    before = resource.prlimit(cloud.lock["pid"], resource.RLIMIT_FSIZE)
    resource.prlimit(cloud.lock["pid"], resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(cloud.lock["pid"], resource.RLIMIT_FSIZE, before)


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
    return str(caught.value)


@pytest.fixture
def used(cloud: Cloud) -> Cloud:
    """A cloud that holds something of each kind."""
    make_queue(cloud, "full-work")
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.client("s3").put_object(Bucket=BUCKET, Key="before", Body=b"before")
    cloud.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    cloud.client("dynamodb").put_item(TableName=TABLE, Item={"pk": {"S": "before"}})
    cloud.client("sqs").send_message(QueueUrl=cloud.queue("full-work"), MessageBody="before")
    return cloud


def changes(cloud: Cloud) -> list[Callable[[], Any]]:
    url = cloud.queue("full-work")
    return [
        lambda: cloud.client("s3").put_object(Bucket=BUCKET, Key="during", Body=b"d" * 5_000),
        lambda: cloud.client("s3").put_object(Bucket=BUCKET, Key="before", Body=b"d" * 5_000),
        lambda: cloud.client("s3").create_bucket(Bucket="full-other"),
        lambda: cloud.client("sqs").send_message(QueueUrl=url, MessageBody="during"),
        lambda: cloud.client("sqs").create_queue(QueueName="full-other"),
        lambda: cloud.client("dynamodb").put_item(TableName=TABLE, Item={"pk": {"S": "during"}}),
        lambda: cloud.client("sns").create_topic(Name="full-other"),
        lambda: cloud.client("iam").create_role(
            RoleName="full-other", AssumeRolePolicyDocument="{}"
        ),
    ]


@pytest.mark.fault("F-17")
def test_a_full_disk_refuses_every_change_and_serves_every_read(used: Cloud) -> None:
    url = used.queue("full-work")
    with files_up_to(used, FULL):
        for change in changes(used):
            assert "could not write to its disk" in refused(change)
        assert used.client("s3").get_object(Bucket=BUCKET, Key="before")["Body"].read() == b"before"
        assert used.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1
        assert used.client("dynamodb").get_item(TableName=TABLE, Key={"pk": {"S": "before"}})[
            "Item"
        ]
        counts = used.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
            "Attributes"
        ]
        assert counts["ApproximateNumberOfMessages"] in {"1", "2"}


def test_an_object_that_does_not_fit_is_refused_and_smaller_ones_are_not(used: Cloud) -> None:
    s3 = used.client("s3")
    with files_up_to(used, ALMOST_FULL):
        refused(lambda: s3.put_object(Bucket=BUCKET, Key="before", Body=b"d" * 1_000_000))
        s3.put_object(Bucket=BUCKET, Key="small", Body=b"small")
        assert s3.get_object(Bucket=BUCKET, Key="before")["Body"].read() == b"before"

    used.kill()
    used.start()
    listed = used.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {found["Key"]: found["Size"] for found in listed} == {"before": 6, "small": 5}


@pytest.mark.fault("F-17")
def test_when_there_is_room_again_changes_are_accepted_and_kept(used: Cloud) -> None:
    with files_up_to(used, FULL):
        for change in changes(used):
            refused(change)
    s3, sqs = used.client("s3"), used.client("sqs")
    s3.put_object(Bucket=BUCKET, Key="after", Body=b"after")
    sqs.send_message(QueueUrl=used.queue("full-work"), MessageBody="after")

    used.kill()
    used.start()
    assert used.client("s3").get_object(Bucket=BUCKET, Key="after")["Body"].read() == b"after"
    assert used.client("dynamodb").get_item(TableName=TABLE, Key={"pk": {"S": "before"}})["Item"]
    wanted = {"before", "after"}
    assert wanted <= until(lambda: set(bodies(used, "full-work")), wanted)
