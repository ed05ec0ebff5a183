"""The embedded cloud is killed while functions are at work: what they worked on is taken up at once."""

from __future__ import annotations

import io
import json
import textwrap
import zipfile
from typing import Any

import pytest

from tests.faults.cloud import Cloud, make_queue, until

pytestmark = pytest.mark.slow

FUNCTION, TABLE = "kill-sleeper", "kill-notes"

SLEEPS_THE_FIRST_TIME = """
    import time, boto3

    notes = boto3.client("dynamodb")

    def note(event, request):
        update = {
            "Key": {"pk": {"S": event}},
            "UpdateExpression": "ADD requests :r, runs :one",
            "ExpressionAttributeValues": {":r": {"SS": [request]}, ":one": {"N": "1"}},
        }
        return notes.update_item(TableName="kill-notes", ReturnValues="ALL_NEW", **update)["Attributes"]

    def handler(event, context):
        name = event["Records"][0]["body"] if "Records" in event else event["name"]
        if int(note(name, context.aws_request_id)["runs"]["N"]) == 1:
            time.sleep(600)
        notes.update_item(
            TableName="kill-notes",
            Key={"pk": {"S": name}},
            UpdateExpression="SET done = :t",
            ExpressionAttributeValues={":t": {"BOOL": True}},
        )
"""


def make_function(cloud: Cloud) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    grant = {"Effect": "Allow", "Action": ["dynamodb:*", "sqs:*", "logs:*"], "Resource": "*"}
    iam = cloud.client("iam")
    role = iam.create_role(
        RoleName="kill-sleeper",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="kill-sleeper",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [grant]}),
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", textwrap.dedent(SLEEPS_THE_FIRST_TIME))
    client = cloud.client("lambda")
    client.create_function(
        FunctionName=FUNCTION,
        Runtime="python3.13",
        Role=role,
        Handler="handler.handler",
        Timeout=700,
        Code={"ZipFile": packed.getvalue()},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=FUNCTION)


def make_table(cloud: Cloud) -> None:
    cloud.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def rows(cloud: Cloud) -> dict[str, Any]:
    return {
        item["pk"]["S"]: item for item in cloud.client("dynamodb").scan(TableName=TABLE)["Items"]
    }


def begun(cloud: Cloud) -> set[str]:
    return set(rows(cloud))


def done(cloud: Cloud) -> set[str]:
    return {name for name, row in rows(cloud).items() if "done" in row}


@pytest.mark.parametrize("way", ["event", "queue"])
@pytest.mark.fault("F-39")
def test_what_a_function_was_working_on_is_taken_up_at_once(cloud: Cloud, way: str) -> None:
    make_table(cloud)
    make_function(cloud)
    if way == "event":
        cloud.client("lambda").invoke(
            FunctionName=FUNCTION, InvocationType="Event", Payload=json.dumps({"name": "it"})
        )
    else:
        arn = make_queue(cloud, "kill-line", VisibilityTimeout="4200")
        cloud.client("lambda").create_event_source_mapping(
            FunctionName=FUNCTION, EventSourceArn=arn
        )
        cloud.client("sqs").send_message(QueueUrl=cloud.queue("kill-line"), MessageBody="it")
    assert until(lambda: begun(cloud), {"it"}) == {"it"}

    cloud.kill()
    cloud.start()

    assert until(lambda: done(cloud), {"it"}) == {"it"}
    row = rows(cloud)["it"]
    assert row["runs"] == {"N": "2"}
    if way == "event":
        assert len(row["requests"]["SS"]) == 1


def test_a_session_outlives_a_kill(cloud: Cloud) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    grant = {"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"}
    iam = cloud.client("iam")
    role = iam.create_role(
        RoleName="kill-session",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="kill-session",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [grant]}),
    )
    session = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="session")[
        "Credentials"
    ]

    cloud.kill()
    cloud.start()

    sqs = cloud.client(
        "sqs",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    assert sqs.list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
