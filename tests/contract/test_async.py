"""Asynchronous invocations: tried again, and accounted for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.aws import Aws, Function, Lambda, Queue, Recorder, until

EVENT = {"Records": [], "order": "fail", "id": "kept"}


def send(functions: Lambda, function: Function, event: Any) -> int:
    answer = functions.client.invoke(
        FunctionName=function.name, InvocationType="Event", Payload=json.dumps(event).encode()
    )
    return int(answer["StatusCode"])


@pytest.fixture(scope="module")
def told(cloud: Aws, functions: Lambda, recorder: Recorder) -> tuple[Function, Queue, Queue]:
    """A function with a queue for what succeeded and one for what failed for good."""
    function = functions.make("record", Timeout=2, variables={"BUCKET": recorder.bucket})
    good, bad = cloud.queue(), cloud.queue()
    functions.client.put_function_event_invoke_config(
        FunctionName=function.name,
        MaximumRetryAttempts=1,
        DestinationConfig={
            "OnSuccess": {"Destination": good.arn},
            "OnFailure": {"Destination": bad.arn},
        },
    )
    return function, good, bad


def test_an_event_is_accepted_at_once(functions: Lambda, probe: Function) -> None:
    assert send(functions, probe, {"do": "echo"}) == 202


def test_what_failed_for_good_is_told_after_as_many_attempts_as_allowed(
    cloud: Aws, functions: Lambda, told: tuple[Function, Queue, Queue], recorder: Recorder
) -> None:
    function, _, bad = told
    send(functions, function, {**EVENT, "id": "doomed"})
    told_of = json.loads(cloud.receive(bad)[0]["Body"])
    assert told_of["requestContext"]["condition"] == "RetriesExhausted"
    assert told_of["requestContext"]["approximateInvokeCount"] == 2
    assert told_of["requestPayload"]["id"] == "doomed"
    assert len(recorder.events("direct/doomed")) == 2


def test_what_succeeded_is_told(
    cloud: Aws, functions: Lambda, told: tuple[Function, Queue, Queue]
) -> None:
    function, good, _ = told
    send(functions, function, {"Records": [], "id": "fine"})
    told_of = json.loads(cloud.receive(good)[0]["Body"])
    assert told_of["requestContext"]["condition"] == "Success"
    assert told_of["requestPayload"]["id"] == "fine"


def test_the_success_of_an_event_of_s3_is_told(
    cloud: Aws, functions: Lambda, told: tuple[Function, Queue, Queue]
) -> None:
    function, good, _ = told
    bucket = cloud.bucket()
    functions.permit(function, "s3.amazonaws.com")
    rule = {"LambdaFunctionArn": function.arn, "Events": ["s3:ObjectCreated:*"]}
    cloud.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
    )
    cloud.put(bucket, "k")
    told_of = json.loads(cloud.receive(good)[0]["Body"])
    assert told_of["requestPayload"]["Records"][0]["s3"]["bucket"]["name"] == bucket


def test_a_dead_letter_queue_gets_the_bare_event_and_its_error(
    cloud: Aws, functions: Lambda, recorder: Recorder
) -> None:
    grave = cloud.queue()
    function = functions.make(
        "record",
        DeadLetterConfig={"TargetArn": grave.arn},
        variables={"BUCKET": recorder.bucket},
    )
    functions.client.put_function_event_invoke_config(
        FunctionName=function.name, MaximumRetryAttempts=0
    )
    send(functions, function, EVENT)
    [letter] = cloud.receive(grave)
    assert json.loads(letter["Body"]) == EVENT
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "as ordered"
    assert {"RequestID", "ErrorCode"} <= set(letter["MessageAttributes"])


def test_an_event_is_tried_twice_more_by_default(functions: Lambda, recorder: Recorder) -> None:
    send(functions, recorder.function, {**EVENT, "id": "default"})
    until(lambda: len(recorder.events("direct/default")) == 3)
