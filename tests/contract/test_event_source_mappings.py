"""Queues that feed functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.aws import Aws, Function, Lambda, Queue, Recorder, error_code, pairs, until

PARTIAL = ["ReportBatchItemFailures"]
INVALID = "InvalidParameterValueException"


def flat(batches: list[list[str]]) -> list[str]:
    return [body for batch in batches for body in batch]


def given(recorder: Recorder, queue: Queue, count: int) -> list[list[str]]:
    """Wait until the recorder was given so many messages of the queue; return its batches."""

    def batches() -> list[list[str]] | None:
        seen = recorder.bodies(queue)
        return seen if len(flat(seen)) >= count else None

    return until(batches) or []


def refused(functions: Lambda, queue: Queue, function: Function, **settings: Any) -> str | None:
    return error_code(
        functions.client.create_event_source_mapping,
        EventSourceArn=queue.arn,
        FunctionName=function.name,
        **settings,
    )


@pytest.fixture(scope="module")
def partly_failed(cloud: Aws, functions: Lambda, recorder: Recorder) -> tuple[Queue, list[str]]:
    """A queue of eight messages, of which one is bad: the queue, and what came out dead."""
    grave = cloud.queue()
    queue = cloud.queue(dead_letters=grave, receives=2, VisibilityTimeout="2")
    functions.map(queue, recorder.function, BatchSize=4, FunctionResponseTypes=PARTIAL)
    bodies = ["bad" if number == 3 else f"ok-{number}" for number in range(8)]
    entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
    cloud.client("sqs").send_message_batch(QueueUrl=queue.url, Entries=entries)
    return queue, [letter["Body"] for letter in cloud.receive(grave)]


def test_a_mapping_becomes_enabled(functions: Lambda, cloud: Aws, recorder: Recorder) -> None:
    made = functions.client.create_event_source_mapping(
        EventSourceArn=cloud.queue().arn, FunctionName=recorder.function.name
    )
    assert made["State"] == "Creating"
    functions.mapping_is(made["UUID"], "Enabled")


def test_no_batch_is_larger_than_its_size(
    partly_failed: tuple[Queue, list[str]], recorder: Recorder
) -> None:
    assert max(map(len, recorder.bodies(partly_failed[0]))) <= 4


def test_a_record_has_all_that_lambda_gives(
    partly_failed: tuple[Queue, list[str]], recorder: Recorder
) -> None:
    record = recorder.events(partly_failed[0].name)[0]["event"]["Records"][0]
    assert set(record) == {
        "messageId",
        "receiptHandle",
        "body",
        "attributes",
        "messageAttributes",
        "md5OfBody",
        "eventSource",
        "eventSourceARN",
        "awsRegion",
    }
    assert record["attributes"]["ApproximateReceiveCount"] == "1"


def test_of_a_partly_failed_batch_only_the_failed_message_dies(
    partly_failed: tuple[Queue, list[str]],
) -> None:
    assert partly_failed[1] == ["bad"]


def test_the_good_messages_come_once_and_the_bad_one_as_often_as_allowed(
    partly_failed: tuple[Queue, list[str]], recorder: Recorder
) -> None:
    bodies = flat(recorder.bodies(partly_failed[0]))
    assert sorted(bodies) == sorted(["bad", "bad", *(f"ok-{n}" for n in (0, 1, 2, 4, 5, 6, 7))])


@dataclass(frozen=True, slots=True)
class Failing:
    """A message that fails, sent to a queue of its own, and where it dies."""

    body: str
    queue: Queue
    grave: Queue


@pytest.fixture(scope="module")
def failing(cloud: Aws, functions: Lambda, recorder: Recorder) -> dict[str, Failing]:
    """One queue for each way to fail, all failing at the same time."""
    slow = functions.make("record", Timeout=1, variables={"BUCKET": recorder.bucket})
    sent = {}
    for body, receives in {"fail": 2, "unknown": 1, "empty": 1, "sleep:9": 1}.items():
        grave = cloud.queue()
        queue = cloud.queue(dead_letters=grave, receives=receives, VisibilityTimeout="2")
        function = slow if body == "sleep:9" else recorder.function
        functions.map(queue, function, FunctionResponseTypes=PARTIAL)
        cloud.send(queue, body)
        sent[body] = Failing(body, queue, grave)
    return sent


def test_a_message_whose_function_raises_is_tried_as_often_as_allowed(
    cloud: Aws, failing: dict[str, Failing], recorder: Recorder
) -> None:
    one = failing["fail"]
    assert [letter["Body"] for letter in cloud.receive(one.grave)] == ["fail"]
    assert recorder.bodies(one.queue) == [["fail"], ["fail"]]


@pytest.mark.parametrize("answer", ["unknown", "empty"])
def test_a_failure_that_names_no_message_of_the_batch_fails_all_of_it(
    cloud: Aws, failing: dict[str, Failing], answer: str
) -> None:
    assert [letter["Body"] for letter in cloud.receive(failing[answer].grave)] == [answer]


def test_a_message_whose_function_runs_out_of_time_dies(
    cloud: Aws, failing: dict[str, Failing]
) -> None:
    assert [letter["Body"] for letter in cloud.receive(failing["sleep:9"].grave)] == ["sleep:9"]


def test_a_window_gathers_messages_into_few_batches(
    cloud: Aws, functions: Lambda, recorder: Recorder
) -> None:
    queue = cloud.queue()
    functions.map(queue, recorder.function, BatchSize=100, MaximumBatchingWindowInSeconds=2)
    for number in range(6):
        cloud.send(queue, str(number))
    assert len(given(recorder, queue, 6)) <= 2


def test_a_batch_may_have_more_than_ten_messages(
    cloud: Aws, functions: Lambda, recorder: Recorder
) -> None:
    queue = cloud.queue()
    for _ in range(5):
        cloud.client("sqs").send_message_batch(QueueUrl=queue.url, Entries=list(pairs(10)))
    functions.map(queue, recorder.function, BatchSize=50, MaximumBatchingWindowInSeconds=1)
    assert max(map(len, given(recorder, queue, 50))) > 10


def test_a_batch_of_more_than_ten_needs_a_window(
    cloud: Aws, functions: Lambda, probe: Function
) -> None:
    assert refused(functions, cloud.queue(), probe, BatchSize=50) == INVALID


def test_a_queue_that_shows_messages_before_the_function_times_out_is_refused(
    cloud: Aws, functions: Lambda, probe: Function
) -> None:
    assert refused(functions, cloud.queue(VisibilityTimeout="1"), probe) == INVALID


def test_a_function_cannot_outgrow_the_visibility_of_its_queue(
    cloud: Aws, functions: Lambda
) -> None:
    function = functions.make()
    functions.map(cloud.queue(VisibilityTimeout="5"), function)
    code = error_code(
        functions.client.update_function_configuration, FunctionName=function.name, Timeout=6
    )
    assert code == INVALID


def test_a_queue_is_mapped_to_a_function_once(
    cloud: Aws, functions: Lambda, recorder: Recorder
) -> None:
    queue = cloud.queue()
    functions.map(queue, recorder.function)
    assert refused(functions, queue, recorder.function) == "ResourceConflictException"


def test_a_queue_that_does_not_exist_is_refused(
    cloud: Aws, functions: Lambda, probe: Function
) -> None:
    missing = Queue("", cloud.queue().arn + "-not")
    assert refused(functions, missing, probe) == INVALID


def test_a_role_that_may_not_read_the_queue_is_refused(cloud: Aws, functions: Lambda) -> None:
    role = cloud.role()
    name = role.rpartition("/")[2]
    function = functions.make(Role=role)
    cloud.client("iam").delete_role_policy(RoleName=name, PolicyName="all")
    assert refused(functions, cloud.queue(), function) == INVALID


def peak(events: list[dict[str, Any]]) -> int:
    """Return how many of the invocations ran at once at the most."""
    spans = [(event["began"], event["ended"]) for event in events]
    return max(sum(began <= moment < ended for began, ended in spans) for moment, _ in spans)


@pytest.mark.parametrize("limit", [2, 4])
def test_a_mapping_runs_as_many_batches_at_once_as_it_may(
    cloud: Aws, functions: Lambda, recorder: Recorder, limit: int
) -> None:
    queue = cloud.queue()
    cloud.send(queue, *["sleep:0.5"] * 8)
    functions.map(
        queue, recorder.function, BatchSize=1, ScalingConfig={"MaximumConcurrency": limit}
    )
    given(recorder, queue, 8)
    assert peak(recorder.events(queue.name)) == limit


def test_a_disabled_mapping_takes_nothing_and_an_enabled_one_resumes(
    cloud: Aws, functions: Lambda, recorder: Recorder
) -> None:
    queue, other = cloud.queue(), cloud.queue()
    mapping = functions.map(queue, recorder.function)
    functions.client.update_event_source_mapping(UUID=mapping, Enabled=False)
    functions.mapping_is(mapping, "Disabled")
    cloud.send(queue, "waits")
    functions.map(other, recorder.function)
    cloud.send(other, "goes")
    given(recorder, other, 1)
    assert cloud.depths(queue) == (1, 0, 0)

    functions.client.update_event_source_mapping(UUID=mapping, Enabled=True)
    assert given(recorder, queue, 1) == [["waits"]]


def test_a_disabled_mapping_says_so(cloud: Aws, functions: Lambda, recorder: Recorder) -> None:
    mapping = functions.map(cloud.queue(), recorder.function)
    functions.client.update_event_source_mapping(UUID=mapping, Enabled=False)
    functions.mapping_is(mapping, "Disabled")


def test_messages_that_match_no_filter_are_deleted_unseen(
    cloud: Aws, functions: Lambda, recorder: Recorder
) -> None:
    queue = cloud.queue()
    pattern = json.dumps({"body": {"wanted": ["yes"]}})
    functions.map(queue, recorder.function, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    for wanted in ("no", "yes", "no"):
        cloud.send(queue, json.dumps({"wanted": wanted}))
    until(lambda: cloud.depths(queue) == (0, 0, 0))
    assert flat(given(recorder, queue, 1)) == ['{"wanted": "yes"}']


@pytest.fixture(scope="module")
def throttled(cloud: Aws, functions: Lambda, recorder: Recorder) -> tuple[Queue, Function]:
    """A queue with a message for a function that may not run."""
    function = functions.make("record", variables={"BUCKET": recorder.bucket})
    functions.client.put_function_concurrency(
        FunctionName=function.name, ReservedConcurrentExecutions=0
    )
    queue, other = cloud.queue(), cloud.queue()
    functions.map(queue, function)
    cloud.send(queue, "waits")
    functions.map(other, recorder.function)
    cloud.send(other, "goes")
    given(recorder, other, 1)
    return queue, function


def test_a_function_without_concurrency_is_given_nothing(
    throttled: tuple[Queue, Function], recorder: Recorder
) -> None:
    assert recorder.bodies(throttled[0]) == []


def test_a_message_that_waited_for_concurrency_has_lost_no_receive(
    throttled: tuple[Queue, Function], functions: Lambda, recorder: Recorder
) -> None:
    queue, function = throttled
    functions.client.delete_function_concurrency(FunctionName=function.name)
    given(recorder, queue, 1)
    record = recorder.events(queue.name)[0]["event"]["Records"][0]
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
