"""Whatever is done to the embedded cloud, a kill and a start show the very same cloud."""

from __future__ import annotations

import contextlib
import json
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.cloud import Cloud, make_queue

pytestmark = pytest.mark.slow

VERSIONED, PLAIN, TABLE = "replay-versioned", "replay-plain", "replay-rows"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture(scope="module")
def shared() -> Iterator[Cloud]:
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(Path(folder))
        cloud.start()
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=VERSIONED)
        s3.create_bucket(Bucket=PLAIN)
        s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
        make_queue(cloud, "replay-0")
        make_queue(cloud, "replay-1")
        cloud.client("sns").create_topic(Name="replay")
        cloud.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        try:
            yield cloud
        finally:
            cloud.stop()


def account_of(cloud: Cloud) -> str:
    return str(cloud.lock["account"])


# What can be done. `n` chooses among a few names, so that the operations meet.


def put(cloud: Cloud, n: int) -> None:
    cloud.client("s3").put_object(
        Bucket=(VERSIONED, PLAIN)[n % 2],
        Key=f"key é+{n % 3}",
        Body=b"x" * n,
        Metadata={"n": str(n)},
    )


def tag(cloud: Cloud, n: int) -> None:
    cloud.client("s3").put_object_tagging(
        Bucket=(VERSIONED, PLAIN)[n % 2],
        Key=f"key é+{n % 3}",
        Tagging={"TagSet": [{"Key": "n", "Value": str(n)}]},
    )


def copy(cloud: Cloud, n: int) -> None:
    cloud.client("s3").copy_object(
        Bucket=PLAIN, Key=f"copy {n % 2}", CopySource={"Bucket": VERSIONED, "Key": f"key é+{n % 3}"}
    )


def remove(cloud: Cloud, n: int) -> None:
    cloud.client("s3").delete_object(Bucket=(VERSIONED, PLAIN)[n % 2], Key=f"key é+{n % 3}")


def remove_version(cloud: Cloud, n: int) -> None:
    listed = cloud.client("s3").list_object_versions(Bucket=VERSIONED)
    every = [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]
    if every:
        found = every[n % len(every)]
        cloud.client("s3").delete_object(
            Bucket=VERSIONED, Key=found["Key"], VersionId=found["VersionId"]
        )


def remove_many(cloud: Cloud, n: int) -> None:
    objects = [{"Key": f"key é+{number}"} for number in range(n % 3 + 1)]
    cloud.client("s3").delete_objects(Bucket=(VERSIONED, PLAIN)[n % 2], Delete={"Objects": objects})


def send(cloud: Cloud, n: int) -> None:
    cloud.client("sqs").send_message(
        QueueUrl=cloud.queue(f"replay-{n % 2}"),
        MessageBody=f"message {n}",
        MessageAttributes={"n": {"DataType": "Number", "StringValue": str(n)}},
    )


def receive(cloud: Cloud, n: int) -> None:
    cloud.client("sqs").receive_message(
        QueueUrl=cloud.queue(f"replay-{n % 2}"), VisibilityTimeout=600
    )


def take(cloud: Cloud, n: int) -> None:
    sqs, url = cloud.client("sqs"), cloud.queue(f"replay-{n % 2}")
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=3).get("Messages", ()):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def remake_queue(cloud: Cloud, n: int) -> None:
    cloud.client("sqs").delete_queue(QueueUrl=cloud.queue("replay-1"))
    cloud.client("sqs").create_queue(QueueName="replay-1", Attributes={"VisibilityTimeout": str(n)})


def write_row(cloud: Cloud, n: int) -> None:
    cloud.client("dynamodb").put_item(
        TableName=TABLE, Item={"pk": {"S": f"é{n % 4}"}, "n": {"N": str(n)}, "b": {"B": bytes([n])}}
    )


def update_row(cloud: Cloud, n: int) -> None:
    cloud.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"é{n % 4}"}},
        UpdateExpression="SET m = :m ADD s :s",
        ExpressionAttributeValues={
            ":m": {"M": {"x": {"L": [{"N": str(n)}]}}},
            ":s": {"SS": [str(n)]},
        },
    )


def remove_row(cloud: Cloud, n: int) -> None:
    cloud.client("dynamodb").delete_item(TableName=TABLE, Key={"pk": {"S": f"é{n % 4}"}})


def subscribe(cloud: Cloud, n: int) -> None:
    region, account = cloud.lock["region"], account_of(cloud)
    cloud.client("sns").subscribe(
        TopicArn=f"arn:aws:sns:{region}:{account}:replay",
        Protocol=("sqs", "email")[n % 2],
        Endpoint=(f"arn:aws:sqs:{region}:{account}:replay-0", f"a{n % 3}@example.com")[n % 2],
    )


def alarm(cloud: Cloud, n: int) -> None:
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=f"alarm {n % 3}",
        Namespace="Replay",
        MetricName="M",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=n,
        ComparisonOperator="GreaterThanThreshold",
    )


def role(cloud: Cloud, n: int) -> None:
    name = f"replay-{n % 2}"
    with contextlib.suppress(ClientError):
        cloud.client("iam").create_role(
            RoleName=name, Path="/imgpipe/", AssumeRolePolicyDocument=TRUST
        )
    cloud.client("iam").put_role_policy(RoleName=name, PolicyName=f"p{n}", PolicyDocument=TRUST)


def log_line(cloud: Cloud, n: int) -> None:
    logs, names = cloud.client("logs"), {"logGroupName": "/replay", "logStreamName": f"s{n % 2}"}
    with contextlib.suppress(ClientError):
        logs.create_log_group(logGroupName="/replay")
    with contextlib.suppress(ClientError):
        logs.create_log_stream(**names)
    logs.put_log_events(
        **names, logEvents=[{"timestamp": 1_790_000_000_000 + n, "message": f"line {n}"}]
    )


OPERATIONS: list[Callable[[Cloud, int], None]] = [
    put,
    tag,
    copy,
    remove,
    remove_version,
    remove_many,
    send,
    receive,
    take,
    remake_queue,
    write_row,
    update_row,
    remove_row,
    subscribe,
    alarm,
    role,
    log_line,
]


# What can be seen.


def seen(cloud: Cloud) -> dict[str, Any]:
    """Everything that a client can see, but for the time that it is seen at."""
    return {
        "objects": {bucket: objects(cloud, bucket) for bucket in (VERSIONED, PLAIN)},
        "messages": messages(cloud),
        "queues": {name: queue_attributes(cloud, name) for name in ("replay-0", "replay-1")},
        "rows": sorted(
            cloud.client("dynamodb").scan(TableName=TABLE)["Items"],
            key=lambda item: str(item["pk"]["S"]),
        ),
        "subscriptions": cloud.client("sns").list_subscriptions()["Subscriptions"],
        "alarms": cloud.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "roles": {
            found["RoleName"]: cloud.client("iam").list_role_policies(RoleName=found["RoleName"])[
                "PolicyNames"
            ]
            for found in cloud.client("iam").list_roles(PathPrefix="/imgpipe/")["Roles"]
        },
        "logs": cloud.client("logs").filter_log_events(logGroupName="/replay")["events"]
        if cloud.client("logs").describe_log_groups(logGroupNamePrefix="/replay")["logGroups"]
        else [],
    }


def objects(cloud: Cloud, bucket: str) -> list[Any]:
    s3 = cloud.client("s3")
    listed = s3.list_object_versions(Bucket=bucket)
    found: list[Any] = [marker | {"marker": True} for marker in listed.get("DeleteMarkers", ())]
    for version in listed.get("Versions", ()):
        named = {"Bucket": bucket, "Key": version["Key"]}
        if version["VersionId"] != "null":
            named["VersionId"] = version["VersionId"]
        read = s3.get_object(**named)
        tags = s3.get_object_tagging(**named)["TagSet"] if version["IsLatest"] else None
        found.append([version, read["Body"].read(), read["Metadata"], read["ETag"], tags])
    return found


def messages(cloud: Cloud) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own loopback endpoint
        cloud.lock["endpoint"] + "/_ministack/sqs/messages",
        headers={"x-imgpipe-token": cloud.lock["token"]},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
        found = json.load(answer)
    return json.dumps(found, sort_keys=True).replace(str(cloud.lock["port"]), "PORT")


def queue_attributes(cloud: Cloud, name: str) -> dict[str, str]:
    attributes = cloud.client("sqs").get_queue_attributes(
        QueueUrl=cloud.queue(name), AttributeNames=["All"]
    )["Attributes"]
    return {key: value for key, value in attributes.items() if not key.startswith("Approximate")}


done = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 20)), min_size=10, max_size=40
)


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(done=done)
@pytest.mark.fault("F-39")
def test_any_sequence_of_changes_is_the_same_after_a_kill(
    shared: Cloud, done: list[tuple[Callable[[Cloud, int], None], int]]
) -> None:
    for operation, n in done:
        with contextlib.suppress(ClientError):  # such as tagging what isn't there
            operation(shared, n)
    before = seen(shared)
    shared.kill()
    shared.start()

    assert seen(shared) == before
