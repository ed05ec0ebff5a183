"""The embedded cloud is killed with -9 in the middle of everything; what it had accepted is still there."""

from __future__ import annotations

import io
import json
import random
import threading
import uuid
import zipfile
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.faults.cloud import DEADLINE_S, Cloud, allow, bodies, make_queue, until

pytestmark = pytest.mark.slow

BUCKET, PLAIN, TABLE, FUNCTION = "kill-uploads", "kill-plain", "kill-rows", "kill-echo"
KILLS, ACCEPTED_BETWEEN_KILLS, WRITERS = 4, (60, 140), 3


def make_function(cloud: Cloud) -> str:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    iam = cloud.client("iam")
    role = iam.create_role(
        RoleName="kill-role",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    grant = {"Effect": "Allow", "Action": ["sqs:SendMessage", "logs:*"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="kill-role",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [grant]}),
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", "def handler(event, context):\n    return event\n")
    client = cloud.client("lambda")
    arn: str = client.create_function(
        FunctionName=FUNCTION,
        Runtime="python3.13",
        Role=role,
        Handler="handler.handler",
        Timeout=30,
        Code={"ZipFile": packed.getvalue()},
    )["FunctionArn"]
    client.get_waiter("function_active_v2").wait(FunctionName=FUNCTION)
    return arn


def make_everything(cloud: Cloud) -> None:
    """S3 -> SNS -> SQS and Lambda -> destination; a queue, a table, a bucket without versions."""
    s3, sns = cloud.client("s3"), cloud.client("sns")
    for bucket in (BUCKET, PLAIN):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    topic = sns.create_topic(Name="kill-uploaded")["TopicArn"]
    sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=allow("s3.amazonaws.com", "sns:Publish", topic),
    )
    events, done = make_queue(cloud, "kill-events"), make_queue(cloud, "kill-done")
    make_queue(cloud, "kill-work")
    function = make_function(cloud)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=events)
    client = cloud.client("lambda")
    client.add_permission(
        FunctionName=FUNCTION,
        StatementId="sns",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    client.put_function_event_invoke_config(
        FunctionName=FUNCTION, DestinationConfig={"OnSuccess": {"Destination": done}}
    )
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)
    rule = {"TopicArn": topic, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"TopicConfigurations": [rule]}
    )
    cloud.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


@dataclass
class Accepted:
    """What the cloud answered with success."""

    versions: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    markers: set[str] = field(default_factory=set)
    plain: dict[str, bytes] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    rows: dict[str, str] = field(default_factory=dict)
    count: int = 0


class Writers:
    """Threads that change everything they can, and note only what was accepted."""

    def __init__(self, cloud: Cloud, seed: int) -> None:
        self.cloud, self.accepted = cloud, Accepted()
        self._more = threading.Condition()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(random.Random(seed + number),))
            for number in range(WRITERS)
        ]
        self.faults: list[BaseException] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Return when `count` more changes were accepted."""
        with self._more:
            wanted = self.accepted.count + count
            assert self._more.wait_for(lambda: self.accepted.count >= wanted, DEADLINE_S)

    def _write(self, dice: random.Random) -> None:
        actions = [
            self._upload,
            self._upload,
            self._overwrite,
            self._remove,
            self._send,
            self._take,
            self._row,
        ]
        while not self._stop.is_set():
            self.cloud.serving.wait(DEADLINE_S)
            try:
                dice.choice(actions)(dice)
            except (ClientError, BotoCoreError, OSError, ValueError):
                continue  # it was killed meanwhile: not accepted
            except BaseException as error:
                self.faults.append(error)
                raise
            with self._more:
                self.accepted.count += 1
                self._more.notify_all()

    def _upload(self, dice: random.Random) -> None:
        key, body = f"in/{uuid.uuid4().hex}", dice.randbytes(dice.choice([10, 5_000, 200_000]))
        version = self.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
        self.accepted.versions[version] = (key, body)

    def _overwrite(self, dice: random.Random) -> None:
        key, body = f"{threading.get_ident()}-{dice.randrange(5)}", dice.randbytes(50_000)
        self.accepted.plain.pop(key, None)
        self.cloud.client("s3").put_object(Bucket=PLAIN, Key=key, Body=body)
        self.accepted.plain[key] = body

    def _remove(self, dice: random.Random) -> None:
        if not self.accepted.versions:
            return
        key, _ = dice.choice(list(self.accepted.versions.values()))
        marker = self.cloud.client("s3").delete_object(Bucket=BUCKET, Key=key)["VersionId"]
        self.accepted.markers.add(marker)

    def _send(self, _dice: random.Random) -> None:
        name = uuid.uuid4().hex
        self.cloud.client("sqs").send_message(
            QueueUrl=self.cloud.queue("kill-work"), MessageBody=name
        )
        self.accepted.sent.add(name)

    def _take(self, _dice: random.Random) -> None:
        sqs, url = self.cloud.client("sqs"), self.cloud.queue("kill-work")
        for message in sqs.receive_message(QueueUrl=url, VisibilityTimeout=2).get("Messages", ()):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            self.accepted.deleted.add(message["Body"])

    def _row(self, dice: random.Random) -> None:
        key, value = f"{threading.get_ident()}-{dice.randrange(20)}", uuid.uuid4().hex
        item = {"pk": {"S": key}, "value": {"S": value}}
        self.accepted.rows.pop(key, None)
        self.cloud.client("dynamodb").put_item(TableName=TABLE, Item=item)
        self.accepted.rows[key] = value


def version_of(event: Any) -> str:
    records = event.get("Records", [{}])
    return str(records[0].get("s3", {}).get("object", {}).get("versionId", ""))


@pytest.mark.fault("F-39")
def test_what_was_accepted_outlives_kills_at_random_moments(cloud: Cloud) -> None:
    make_everything(cloud)
    dice = random.Random(7)
    with Writers(cloud, 7) as writers:
        for _ in range(KILLS):
            writers.wait_for_more(dice.randint(*ACCEPTED_BETWEEN_KILLS))
            cloud.kill()
            cloud.start()
        writers.wait_for_more(20)
    accepted = writers.accepted
    assert writers.faults == []
    cloud.kill()
    cloud.start()

    s3 = cloud.client("s3")
    for version, (key, body) in accepted.versions.items():
        assert s3.get_object(Bucket=BUCKET, Key=key, VersionId=version)["Body"].read() == body
    for key, body in accepted.plain.items():
        assert s3.get_object(Bucket=PLAIN, Key=key)["Body"].read() == body
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    markers = {marker["VersionId"] for page in pages for marker in page.get("DeleteMarkers", ())}
    assert accepted.markers <= markers

    dynamodb = cloud.client("dynamodb")
    for key, value in accepted.rows.items():
        assert (
            dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": key}})["Item"]["value"]["S"]
            == value
        )

    left = until(lambda: set(bodies(cloud, "kill-work")), accepted.sent - accepted.deleted)
    assert accepted.sent - accepted.deleted <= left
    assert not left & accepted.deleted

    wanted = set(accepted.versions)
    announced = until(
        lambda: {
            version_of(json.loads(json.loads(body)["Message"]))
            for body in bodies(cloud, "kill-events")
        },
        wanted,
    )
    assert wanted <= announced
    invoked = until(
        lambda: {
            version_of(
                json.loads(json.loads(body)["responsePayload"]["Records"][0]["Sns"]["Message"])
            )
            for body in bodies(cloud, "kill-done")
        },
        wanted,
    )
    assert wanted <= invoked


def test_dead_letters_and_messages_in_flight_outlive_a_kill(cloud: Cloud) -> None:
    letters = make_queue(cloud, "letters")
    policy = json.dumps({"deadLetterTargetArn": letters, "maxReceiveCount": 1})
    make_queue(cloud, "source", RedrivePolicy=policy, VisibilityTimeout="0")
    make_queue(cloud, "held", VisibilityTimeout="600")
    sqs = cloud.client("sqs")
    for number in range(12):
        sqs.send_message(QueueUrl=cloud.queue("source"), MessageBody=f"bad {number}")
        sqs.send_message(QueueUrl=cloud.queue("held"), MessageBody=f"held {number}")
    taken = sqs.receive_message(QueueUrl=cloud.queue("held"), MaxNumberOfMessages=5)["Messages"]
    while sqs.receive_message(QueueUrl=cloud.queue("source"), MaxNumberOfMessages=10).get(
        "Messages"
    ):
        pass

    cloud.kill()
    cloud.start()

    sqs = cloud.client("sqs")
    found = until(lambda: set(bodies(cloud, "letters")), {f"bad {number}" for number in range(12)})
    assert found == {f"bad {number}" for number in range(12)}
    counts = sqs.get_queue_attributes(QueueUrl=cloud.queue("held"), AttributeNames=["All"])[
        "Attributes"
    ]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "5"
    for message in taken:
        sqs.change_message_visibility(
            QueueUrl=cloud.queue("held"),
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=0,
        )
    every = {f"held {number}" for number in range(12)}
    assert until(lambda: set(bodies(cloud, "held")), every) == every


@pytest.mark.capability("S2-8")
@pytest.mark.fault("F-18")
def test_an_interrupted_upload_goes_on_after_a_kill(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=PLAIN)
    first, last = random.Random(1).randbytes(6_000_000), b"the end"
    upload = s3.create_multipart_upload(Bucket=PLAIN, Key="large")["UploadId"]
    s3.upload_part(Bucket=PLAIN, Key="large", UploadId=upload, PartNumber=1, Body=first)

    cloud.kill()
    cloud.start()

    s3 = cloud.client("s3")
    s3.upload_part(Bucket=PLAIN, Key="large", UploadId=upload, PartNumber=2, Body=last)
    parts = [
        {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
        for part in s3.list_parts(Bucket=PLAIN, Key="large", UploadId=upload)["Parts"]
    ]
    s3.complete_multipart_upload(
        Bucket=PLAIN, Key="large", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert s3.get_object(Bucket=PLAIN, Key="large")["Body"].read() == first + last
