"""Status, queue depths and logs, as the services answer; and what is judged from it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from moto import mock_aws

from imgpipe.deploy.resources import Alarm
from imgpipe.errors import UsageError
from imgpipe.operate import bus, logs, metrics, status, watch
from imgpipe.operate.project import Project
from imgpipe.operate.status import AlarmState, Status
from tests.studio import (
    create_buckets,
    create_notifications,
    create_queues,
    create_table,
    put_row,
    result,
    studio,
)


class Functions:
    """Lambda, as far as it tells of functions: all well, unless the test says otherwise."""

    def __init__(self) -> None:
        self.state = "Active"
        self.mapping = "Enabled"
        self.missing: set[str] = set()

    def get_function_configuration(self, *, FunctionName: str) -> Any:  # noqa: N803 - boto3's name
        from botocore.exceptions import ClientError

        if FunctionName in self.missing:
            error = {"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}
            raise ClientError(error, "GetFunctionConfiguration")  # type: ignore[arg-type]
        return {"State": self.state, "LastUpdateStatus": "Successful"}

    def list_event_source_mappings(self, **_: str) -> Any:
        return {"EventSourceMappings": [{"State": self.mapping}] if self.mapping else []}


@pytest.fixture
def project() -> Iterator[Project]:
    with mock_aws():
        made = studio(**{"lambda": Functions()})
        create_table(made)
        create_queues(made)
        sns = made.cloud.client("sns")
        for name in made.graph.topics.values():
            sns.create_topic(Name=name)
        create_buckets(made)
        create_notifications(made)
        for alarm in made.graph.of(Alarm):
            put_alarm(made, alarm)
        yield made


def put_alarm(project: Project, alarm: Alarm) -> None:
    project.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm.name,
        Namespace=alarm.namespace,
        MetricName=alarm.metric,
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )


def queue_url(project: Project, short: str) -> str:
    return project.graph.place.queue_url(project.graph.queues[short])


def faults(project: Project) -> list[str]:
    return [fault.what for fault in status.ask(project).faults]


def test_a_whole_pipeline_is_healthy_and_says_so_in_json(project: Project) -> None:
    put_row(project, result("incoming/a.jpg"))
    found = status.ask(project)
    told = found.as_json()

    assert found.faults == ()
    assert told["healthy"] is True
    assert {"queues", "steps", "alarms", "images", "healthy"} <= set(told)
    assert told["images"] == {"done": 1, "rejected": 0, "failed": 0, "in_flight": 0, "removed": 0}
    assert {queue["name"] for queue in told["queues"]} == set(project.graph.queues)
    assert {step["name"] for step in told["steps"]} == {
        branch.name for branch in project.graph.branches
    }


def test_messages_are_counted_where_they_are(project: Project) -> None:
    sqs = project.cloud.client("sqs")
    for _ in range(3):
        sqs.send_message(QueueUrl=queue_url(project, "enhance"), MessageBody="x")
    sqs.receive_message(QueueUrl=queue_url(project, "enhance"), MaxNumberOfMessages=1)
    sqs.send_message(QueueUrl=queue_url(project, "images"), MessageBody="x", DelaySeconds=60)
    queues = {queue.name: queue for queue in status.ask(project).queues}

    assert (queues["enhance"].visible, queues["enhance"].in_flight) == (2, 1)
    assert queues["images"].delayed == 1
    assert not queues["enhance"].dead_letters
    assert queues["enhance-dlq"].dead_letters
    assert queues["rejected"].dead_letters


def test_dead_letters_are_unhealthy_and_rejected_uploads_are_not(project: Project) -> None:
    sqs = project.cloud.client("sqs")
    sqs.send_message(QueueUrl=queue_url(project, "rejected"), MessageBody="x")
    assert faults(project) == []
    sqs.send_message(QueueUrl=queue_url(project, "enhance-dlq"), MessageBody="x")
    assert faults(project) == ["1 dead letter in enhance-dlq"]


def test_what_somebody_deleted_is_named(project: Project) -> None:
    functions: Any = project.cloud.client("lambda")
    functions.missing.add("photo-studio-local-thumbs")
    project.cloud.client("sqs").delete_queue(QueueUrl=queue_url(project, "tidy"))
    alarm = project.graph.of(Alarm)[0].name
    project.cloud.client("cloudwatch").delete_alarms(AlarmNames=[alarm])

    assert faults(project) == [
        "queue tidy is not there",
        "function thumbs is not there",
        f"alarm {alarm} is not there",
    ]


@pytest.mark.parametrize("mapping", ["Disabled", ""])
def test_a_queue_that_nothing_reads_is_named(project: Project, mapping: str) -> None:
    functions: Any = project.cloud.client("lambda")
    functions.mapping = mapping
    assert "nothing takes messages from queue enhance: its mapping is " + (
        mapping or "missing"
    ) in faults(project)


def test_an_alarm_is_unhealthy(project: Project) -> None:
    name = project.graph.of(Alarm)[0].name
    project.cloud.client("cloudwatch").set_alarm_state(
        AlarmName=name, StateValue="ALARM", StateReason="drill"
    )
    found = status.ask(project)
    [fault] = found.faults
    assert fault.what.startswith(f"alarm {name}")
    [alarm] = [alarm for alarm in found.alarms if alarm.state == "ALARM"]
    assert (alarm.reason, alarm.since is not None) == ("drill", True)


def test_rules_that_somebody_took_from_the_bucket_are_a_fault(project: Project) -> None:
    bucket, s3 = project.graph.uploads_bucket, project.cloud.client("s3")
    kept = s3.get_bucket_notification_configuration(Bucket=bucket)["TopicConfigurations"]
    uploaded = [rule for rule in kept if rule["TopicArn"].endswith("-uploaded")]
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"TopicConfigurations": uploaded}
    )
    [fault] = faults(project)
    assert "topic photo-studio-local-removed" in fault
    assert "-uploaded" not in fault


def test_rules_of_the_bus_are_read_whoever_made_them(project: Project) -> None:
    bucket, client = project.graph.uploads_bucket, project.cloud.client("events")
    patterns = {
        "theirs": {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}},
        "elsewhere": {"source": ["aws.s3"], "detail": {"bucket": {"name": ["another"]}}},
        "machines": {"source": ["aws.ec2"]},
    }
    for name, pattern in patterns.items():
        client.put_rule(Name=name, EventPattern=json.dumps(pattern))
    target = {"Id": "1", "Arn": project.graph.place.queue_arn("audit")}
    client.put_targets(Rule="theirs", Targets=[target])
    [rule] = bus.rules(project, bucket)
    assert (rule.name, rule.ours, rule.targets) == ("theirs", False, ("queue audit",))
    assert rule.hears("anything")
    client.disable_rule(Name="theirs")
    assert bus.rules(project, bucket) == ()


def test_an_alarm_that_waits_for_data_is_no_fault() -> None:
    blank = Status(
        at=datetime.now(UTC),
        queues=(),
        steps=(),
        alarms=(),
        unconfirmed=(),
        images={},
        images_exact=True,
    )
    waiting = replace(blank, alarms=(AlarmState(name="a", state="INSUFFICIENT_DATA"),))
    assert status.judge(waiting).healthy


def test_metrics_are_the_latest_age_the_sum_of_errors_and_the_highest_concurrency(
    project: Project,
) -> None:
    cloudwatch = project.cloud.client("cloudwatch")
    queue, function = project.graph.queues["enhance"], "photo-studio-local-enhance"
    now = datetime.now(UTC)
    for minutes, age, errors, running in ((1, 30, 1, 2), (2, 90, 2, 9)):
        when = now - timedelta(minutes=minutes)
        for namespace, metric, dimension, name, value in (
            ("AWS/SQS", metrics.AGE, "QueueName", queue, age),
            ("AWS/Lambda", "Errors", "FunctionName", function, errors),
            ("AWS/Lambda", "ConcurrentExecutions", "FunctionName", function, running),
            ("imgpipe", "FailedAttempts", "FunctionName", function, 4),
        ):
            point = {"MetricName": metric, "Dimensions": [{"Name": dimension, "Value": name}]}
            cloudwatch.put_metric_data(
                Namespace=namespace, MetricData=[{**point, "Timestamp": when, "Value": value}]
            )
    found = status.ask(project)

    [enhance] = [step for step in found.steps if step.name == "enhance"]
    assert (enhance.errors, enhance.concurrency, enhance.throttles) == (3, 9, None)
    assert enhance.failed_attempts == 8
    assert next(it for it in found.queues if it.name == "enhance").oldest_s == 30


def test_depths_are_sampled_as_often_as_asked_and_late_samples_do_not_pile_up(
    project: Project,
) -> None:
    project.cloud.client("sqs").send_message(
        QueueUrl=queue_url(project, "enhance"), MessageBody="x"
    )
    project.cloud.client("sqs").send_message(
        QueueUrl=queue_url(project, "thumbs-dlq"), MessageBody="x"
    )
    slept: list[float] = []
    times = iter(
        [0.0, 0.4, 5.0]
    )  # the start; after the first sample; after the second, which took long
    found = list(watch.samples(project, 1.0, 3, slept.append, lambda: next(times)))

    assert len(found) == 3
    assert (found[0].depths["enhance"], found[0].dead) == (1, 1)
    assert "thumbs-dlq" not in found[0].depths
    assert slept == [0.6, 0.0]


def log(project: Project, branch: str, *lines: tuple[int, str]) -> None:
    client = project.cloud.client("logs")
    group = next(it.log_group for it in project.graph.branches if it.name == branch)
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName="s")
    events = [{"timestamp": at, "message": text} for at, text in lines]
    client.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def test_logs_of_all_functions_are_merged_by_time(project: Project) -> None:
    now = int(time.time() * 1000)
    log(project, "thumbs", (now - 3000, "one"), (now - 1000, "three"))
    log(project, "enhance", (now - 2000, "two"), (now - 500, "four"))
    wanted = [branch for branch in project.graph.branches if branch.name in {"thumbs", "enhance"}]
    start = datetime.now(UTC) - timedelta(minutes=1)

    found = list(logs.since(project, wanted, start))
    assert [(line.function, line.text) for line in found] == [
        ("thumbs", "one"),
        ("enhance", "two"),
        ("thumbs", "three"),
        ("enhance", "four"),
    ]


class Pages:
    """CloudWatch Logs that answers with pages of its own, also empty ones that aren't the end."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self._pages = pages
        self.exceptions = type("Exceptions", (), {"ClientError": RuntimeError})

    def filter_log_events(self, *, nextToken: str = "0", **_: Any) -> Any:  # noqa: N803 - boto3's name
        number = int(nextToken)
        more = {"nextToken": str(number + 1)} if number + 1 < len(self._pages) else {}
        return {"events": self._pages[number], **more}


def event(at: int, identifier: str) -> dict[str, Any]:
    return {"timestamp": at, "message": identifier, "eventId": identifier}


def test_an_empty_page_with_a_token_is_not_the_end() -> None:
    project = studio(logs=Pages([], [event(1, "a")], [], [event(2, "b")]))
    found = logs.since(project, project.graph.branches[:1], datetime.fromtimestamp(0, UTC))
    assert [line.text for line in found] == ["a", "b"]


def test_following_shows_each_event_once_though_it_asks_again_for_the_last_seconds() -> None:
    pages = (
        [event(1, "a")],
        [event(1, "a"), event(2, "b")],
        [event(2, "b"), event(1500, "late"), event(3, "c")],
    )
    rounds = iter(pages)
    project = studio(logs=Pages(next(rounds)))

    def next_round(_: float) -> None:
        project.cloud.made["logs"] = Pages(next(rounds))  # type: ignore[attr-defined]

    coming = logs.follow(
        project, project.graph.branches[:1], datetime.fromtimestamp(0, UTC), sleep=next_round
    )
    assert [line.text for line in islice(coming, 4)] == ["a", "b", "c", "late"]


def test_a_step_names_its_function_and_an_unknown_one_is_refused() -> None:
    graph = studio().graph
    assert [branch.name for branch in logs.branches(graph, "metadata")] == ["images"]
    assert [branch.name for branch in logs.branches(graph, "photo-studio-local-thumbs")] == [
        "thumbs"
    ]
    assert logs.branches(graph, None) == graph.branches
    with pytest.raises(UsageError, match="thumbnail"):
        logs.branches(graph, "nope")
