"""What the cloud does in a function's name, it does with the function's role: polling, logging, telling of failures."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from imgpipe.deploy.providers.iam import POLICY_NAME
from imgpipe.local.keys import ACCOUNT
from imgpipe.runtime import row
from tests.e2e.pipeline import Pipeline
from tests.pictures import corners, encoded
from tests.security.roles import listed

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("roles-in-use")]
PREFIX = "in-use-local-"
DECLARED = """\
version: 1
name: in-use
steps:
  thumb:
    via: function
    variants: {thumb: {width: 20}}
    lambda: {on_success: "arn:aws:sqs:us-east-1:ACCOUNT:heard-of-thumbs"}
  sizes: {via: queue, variants: {small: {width: 40}}}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    made = Pipeline.copy_to(tmp_path_factory.mktemp("in-use"))
    (made.folder / "pipeline.yaml").write_text(DECLARED.replace("ACCOUNT", ACCOUNT))
    try:
        made.run("up", "--yes")
        yield made
    finally:
        made.run("local", "stop", code=None)


@contextmanager
def lacking(pipeline: Pipeline, branch: str, *actions: str, sid: str = "") -> Iterator[None]:
    """Take actions from a branch's role, or from one statement of it, and give them back."""
    iam = client(pipeline, "iam")
    named = {"RoleName": f"{PREFIX}{branch}-us-east-1", "PolicyName": POLICY_NAME}
    whole = iam.get_role_policy(**named)["PolicyDocument"]
    left = [
        {**one, "Action": kept}
        for one in whole["Statement"]
        if (
            kept := [
                action
                for action in listed(one["Action"])
                if action not in actions or one["Sid"] != (sid or one["Sid"])
            ]
        )
    ]
    assert left != whole["Statement"]
    iam.put_role_policy(**named, PolicyDocument=json.dumps({**whole, "Statement": left}))
    try:
        yield
    finally:
        iam.put_role_policy(**named, PolicyDocument=json.dumps(whole))


@functools.cache
def client(pipeline: Pipeline, service: str) -> Any:
    return pipeline.client(service)


@functools.cache
def outputs(pipeline: Pipeline) -> dict[str, str]:
    found: dict[str, str] = pipeline.run("outputs", "--json").json
    return found


def upload(pipeline: Pipeline, name: str) -> str:
    key = f"incoming/{name}.jpg"
    client(pipeline, "s3").put_object(
        Bucket=outputs(pipeline)["uploads_bucket"], Key=key, Body=encoded(corners(64, 48))
    )
    return key


def shown(pipeline: Pipeline, key: str) -> dict[str, Any]:
    """Return the image's row, asked of the table itself: the command line takes its time."""
    answer = client(pipeline, "dynamodb").get_item(
        TableName=outputs(pipeline)["table"], Key={"pk": {"S": key}, "sk": {"S": row.SK_IMAGE}}
    )
    return row.view(row.load(answer["Item"])[0]) if "Item" in answer else {}


def is_done(pipeline: Pipeline, key: str) -> bool:
    return shown(pipeline, key).get("status") == "done"


def last_result(pipeline: Pipeline, branch: str) -> str:
    found = client(pipeline, "lambda").list_event_source_mappings(FunctionName=PREFIX + branch)
    [mapping] = found["EventSourceMappings"]
    return str(mapping.get("LastProcessingResult", ""))


def logged(pipeline: Pipeline, branch: str, words: str) -> bool:
    """Whether the branch's log has a line with `words`."""
    pages = client(pipeline, "logs").get_paginator("filter_log_events")
    group = f"/aws/lambda/{PREFIX}{branch}"
    return any(
        words in event["message"]
        for page in pages.paginate(logGroupName=group)
        for event in page["events"]
    )


@pytest.mark.parametrize("action", ["ReceiveMessage", "GetQueueAttributes"])
def test_without_leave_to_receive_messages_wait_and_the_mapping_says_why(
    pipeline: Pipeline, action: str
) -> None:
    with lacking(pipeline, "sizes", f"sqs:{action}"):
        key = upload(pipeline, f"lacks-{action}")
        pipeline.wait_for("complaint", lambda: f"call {action}" in last_result(pipeline, "sizes"))
        found = pipeline.run("doctor", "--json", code=3)
        assert f"sqs:{action}" in found.out
        assert "small" not in shown(pipeline, key).get("outputs", {})
    pipeline.wait_for("end", lambda: is_done(pipeline, key))


def test_without_leave_to_delete_what_is_done_stays_in_the_queue(pipeline: Pipeline) -> None:
    queue = outputs(pipeline)["sizes_queue_url"]
    sqs = client(pipeline, "sqs")
    with lacking(pipeline, "sizes", "sqs:DeleteMessage"):
        key = upload(pipeline, "lacks-delete")
        pipeline.wait_for("end", lambda: is_done(pipeline, key))
        complaint = "call DeleteMessage"
        pipeline.wait_for("complaint", lambda: complaint in last_result(pipeline, "sizes"))
        told = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        assert told["ApproximateNumberOfMessagesNotVisible"] == "1"


@pytest.mark.parametrize("branch", ["thumb", "sizes", "writer"])
def test_without_leave_to_log_a_function_works_in_silence(pipeline: Pipeline, branch: str) -> None:
    with lacking(pipeline, branch, "logs:PutLogEvents"):
        silent = upload(pipeline, f"silent-{branch}")
        pipeline.wait_for("end", lambda: is_done(pipeline, silent))
        assert not logged(pipeline, branch, silent)
    loud = upload(pipeline, f"loud-{branch}")
    pipeline.wait_for("log", lambda: logged(pipeline, branch, loud))


def test_without_leave_to_begin_a_log_there_is_none(pipeline: Pipeline) -> None:
    """A new process of the function begins a new stream."""
    logs, group = client(pipeline, "logs"), f"/aws/lambda/{PREFIX}sizes"
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        logs.delete_log_stream(logGroupName=group, logStreamName=stream["logStreamName"])
    with lacking(pipeline, "sizes", "logs:CreateLogStream"):
        key = upload(pipeline, "no-stream")
        pipeline.wait_for("end", lambda: is_done(pipeline, key))
        assert not logs.describe_log_streams(logGroupName=group)["logStreams"]


def test_without_leave_to_tell_of_a_failure_it_is_lost(pipeline: Pipeline) -> None:
    functions, sqs = client(pipeline, "lambda"), client(pipeline, "sqs")
    name = f"{PREFIX}thumb"
    functions.put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=0,
        DestinationConfig=functions.get_function_event_invoke_config(FunctionName=name)[
            "DestinationConfig"
        ],
    )
    queue = outputs(pipeline)["thumb_dlq_queue_url"]

    def fail(word: str) -> None:
        event = {
            "Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": word, "Message": word}}]
        }
        functions.invoke(FunctionName=name, Payload=json.dumps(event), InvocationType="Event")
        pipeline.wait_for("failure", lambda: logged(pipeline, "thumb", f'"message_id": "{word}"'))

    def letters() -> list[str]:
        got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, VisibilityTimeout=0)
        return [message["Body"] for message in got.get("Messages", ())]

    with lacking(pipeline, "thumb", "sqs:SendMessage"):
        fail("unheard")
    fail("heard")
    found = pipeline.wait_for("letter", letters)
    assert not [body for body in found if "unheard" in body]


def test_without_leave_to_tell_of_a_success_it_goes_unheard(pipeline: Pipeline) -> None:
    sqs = client(pipeline, "sqs")
    queue = sqs.create_queue(QueueName="heard-of-thumbs")["QueueUrl"]

    def heard(key: str) -> bool:
        got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        bodies.extend(json.loads(message["Body"]) for message in got.get("Messages", ()))
        return any(key in json.dumps(body["requestPayload"]) for body in bodies)

    bodies: list[dict[str, Any]] = []
    with lacking(pipeline, "thumb", "sqs:SendMessage", sid="Successes"):
        unheard = upload(pipeline, "success-unheard")
        pipeline.wait_for("end", lambda: is_done(pipeline, unheard))
    key = upload(pipeline, "success-heard")
    pipeline.wait_for("word of it", lambda: heard(key))
    assert not heard(unheard)
