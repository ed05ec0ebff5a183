"""Metrics and alarms."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.contract.aws import Aws, Function, Lambda, Queue, allow, unique, until


def put_alarm(aws: Aws, **changes: Any) -> str:
    """Make an alarm on the metric M of a namespace of its own; return its name."""
    name = unique("alarm")
    aws.client("cloudwatch").put_metric_alarm(
        **{
            "AlarmName": name,
            "Namespace": name,
            "MetricName": "M",
            "Statistic": "Sum",
            "Period": 10,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **changes,
        }
    )
    return name


def put(aws: Aws, namespace: str, value: float, **dimensions: str) -> None:
    labels = [{"Name": name, "Value": what} for name, what in dimensions.items()]
    datum = {"MetricName": "M", "Value": value, "Dimensions": labels}
    aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def state(aws: Aws, alarm: str) -> str:
    found = aws.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    return str(found[0]["StateValue"])


def becomes(aws: Aws, alarm: str, wanted: str) -> None:
    until(lambda: state(aws, alarm) == wanted)


def heard(aws: Aws) -> tuple[str, Queue]:
    """Make a topic that alarms may publish to, and a queue that hears it."""
    topic, queue = aws.topic(), aws.queue()
    aws.client("sns").set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=allow("sns:Publish", topic, {"Service": "cloudwatch.amazonaws.com"}),
    )
    aws.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=queue.arn,
        Attributes={"RawMessageDelivery": "true"},
    )
    return topic, queue


def on_depth(aws: Aws, queue: Queue, **changes: Any) -> str:
    return put_alarm(
        aws,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": queue.name}],
        Statistic="Maximum",
        Period=60,
        **changes,
    )


def metrics_of(aws: Aws, namespace: str, dimension: str, value: str) -> set[str]:
    found = aws.client("cloudwatch").list_metrics(
        Namespace=namespace, Dimensions=[{"Name": dimension, "Value": value}]
    )
    return {metric["MetricName"] for metric in found["Metrics"]}


def test_a_metric_over_the_threshold_is_an_alarm(aws: Aws) -> None:
    alarm = put_alarm(aws)
    put(aws, alarm, 5)
    becomes(aws, alarm, "ALARM")


def test_an_alarm_is_over_when_its_metric_is(aws: Aws) -> None:
    alarm = put_alarm(aws)
    put(aws, alarm, 5)
    becomes(aws, alarm, "ALARM")
    becomes(aws, alarm, "OK")


def test_an_alarm_looks_at_its_own_dimensions(aws: Aws) -> None:
    space = unique("Space")
    mine, other = (
        put_alarm(aws, Namespace=space, Dimensions=[{"Name": "Q", "Value": name}])
        for name in ("mine", "other")
    )
    put(aws, space, 5, Q="mine")
    becomes(aws, mine, "ALARM")
    assert state(aws, other) != "ALARM"


def test_an_alarm_tells_its_topic(aws: Aws) -> None:
    topic, queue = heard(aws)
    alarm = put_alarm(aws, AlarmActions=[topic])
    put(aws, alarm, 5)
    told = json.loads(aws.receive(queue)[0]["Body"])
    assert (told["AlarmName"], told["NewStateValue"]) == (alarm, "ALARM")
    assert told["Trigger"]["MetricName"] == "M"


def test_a_topic_that_does_not_let_alarms_in_hears_nothing(cloud: Aws) -> None:
    topic, queue = heard(cloud)
    cloud.client("sns").set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=allow("sns:Publish", topic, {"Service": "s3.amazonaws.com"}),
    )
    alarm = put_alarm(cloud, AlarmActions=[topic])
    put(cloud, alarm, 5)
    history = cloud.client("cloudwatch").describe_alarm_history
    until(
        lambda: [
            item
            for item in history(AlarmName=alarm)["AlarmHistoryItems"]
            if item["HistorySummary"] == f"Failed to execute action {topic}"
        ]
    )
    assert cloud.look(queue) == []


def test_a_state_can_be_set_for_a_drill(aws: Aws) -> None:
    topic, queue = heard(aws)
    alarm = put_alarm(aws, AlarmActions=[topic])
    aws.client("cloudwatch").set_alarm_state(
        AlarmName=alarm, StateValue="ALARM", StateReason="a drill"
    )
    told = json.loads(aws.receive(queue)[0]["Body"])
    assert told["NewStateReason"] == "a drill"


def test_an_alarm_has_a_history(aws: Aws) -> None:
    alarm = put_alarm(aws)
    aws.client("cloudwatch").set_alarm_state(
        AlarmName=alarm, StateValue="ALARM", StateReason="a drill"
    )
    found = aws.client("cloudwatch").describe_alarm_history(AlarmName=alarm)
    assert found["AlarmHistoryItems"]


def test_a_message_in_a_queue_sets_off_its_alarm(aws: Aws) -> None:
    queue = aws.queue()
    alarm = on_depth(aws, queue)
    aws.send(queue, "x")
    becomes(aws, alarm, "ALARM")


def test_a_queue_in_use_is_measured(aws: Aws) -> None:
    queue = aws.queue()
    aws.send(queue, "x")
    aws.receive(queue)
    aws.send(queue, "y")
    wanted = {
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateAgeOfOldestMessage",
        "NumberOfMessagesSent",
        "NumberOfMessagesReceived",
        "NumberOfMessagesDeleted",
    }
    until(lambda: wanted <= metrics_of(aws, "AWS/SQS", "QueueName", queue.name))


def test_a_function_is_measured(cloud: Aws, functions: Lambda, probe: Function) -> None:
    functions.invoke(probe, {"do": "echo"})
    found = metrics_of(cloud, "AWS/Lambda", "FunctionName", probe.name)
    assert {"Invocations", "Errors", "Duration", "ConcurrentExecutions"} <= found


def total(cloud: Aws, function: Function, metric: str) -> float:
    dimensions = [{"Name": "FunctionName", "Value": function.name}]
    wanted = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions}
    now = time.time()
    [found] = cloud.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {"Id": "a", "MetricStat": {"Metric": wanted, "Period": 60, "Stat": "Sum"}}
        ],
        StartTime=now - 300,
        EndTime=now + 60,
    )["MetricDataResults"]
    return float(sum(found["Values"]))


def test_each_error_is_counted_once(cloud: Aws, functions: Lambda) -> None:
    function = functions.make("probe")
    functions.invoke(function, {"do": "echo"})
    functions.invoke(function, {"do": "raise", "word": "boom"})
    assert (total(cloud, function, "Invocations"), total(cloud, function, "Errors")) == (2, 1)


def test_the_errors_of_a_mapped_function_are_counted(cloud: Aws, functions: Lambda) -> None:
    function = functions.make("missing")
    queue = cloud.queue()
    functions.map(queue, function)
    cloud.send(queue, "x")
    until(lambda: total(cloud, function, "Errors") == 1)


def test_a_published_message_is_counted(cloud: Aws) -> None:
    topic = cloud.topic()
    cloud.client("sns").publish(TopicArn=topic, Message="x")
    found = metrics_of(cloud, "AWS/SNS", "TopicName", topic.rpartition(":")[2])
    assert found == {"NumberOfMessagesPublished"}


def test_a_dashboard_is_kept(aws: Aws) -> None:
    name, body = unique("dashboard"), json.dumps({"widgets": []})
    aws.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=body)
    found = aws.client("cloudwatch").list_dashboards(DashboardNamePrefix=name)
    assert [entry["DashboardName"] for entry in found["DashboardEntries"]] == [name]


def test_a_composite_alarm_follows_its_children(aws: Aws) -> None:
    child = put_alarm(aws)
    name = unique("composite")
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=f'ALARM("{child}")')
    put(aws, child, 5)

    def alarming() -> bool:
        found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])
        return bool(found["CompositeAlarms"][0]["StateValue"] == "ALARM")

    until(alarming)
