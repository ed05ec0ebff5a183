"""What a function says, and how it is found again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.contract.aws import Aws, Function, Lambda, unique, until


def group(function: Function) -> str:
    return f"/aws/lambda/{function.name}"


def lines(cloud: Aws, function: Function, **wanted: Any) -> list[str]:
    found = cloud.client("logs").filter_log_events(logGroupName=group(function), **wanted)
    return [event["message"] for event in found["events"]]


def streams(cloud: Aws, function: Function) -> list[str]:
    found = cloud.client("logs").describe_log_streams(logGroupName=group(function))
    return [stream["logStreamName"] for stream in found["logStreams"]]


@pytest.fixture(scope="module")
def talker(cloud: Aws, functions: Lambda) -> Function:
    """A function that was invoked five times in one environment, one after the other."""
    function = functions.make("probe")
    for _ in range(5):
        functions.invoke(function, {"do": "print"})
    until(lambda: len(lines(cloud, function, filterPattern="REPORT")) == 5)
    return function


def test_the_tail_of_the_log_comes_with_the_answer(functions: Lambda, probe: Function) -> None:
    answer = functions.invoke(probe, {"do": "print"}, LogType="Tail")
    assert "said on stdout" in answer.log
    assert "REPORT RequestId" in answer.log


def test_each_invocation_has_its_start_end_and_report(cloud: Aws, talker: Function) -> None:
    text = "\n".join(lines(cloud, talker))
    assert [text.count(f"{word} RequestId:") for word in ("START", "END", "REPORT")] == [5, 5, 5]


def test_all_that_a_function_says_is_kept(cloud: Aws, talker: Function) -> None:
    text = "\n".join(lines(cloud, talker))
    for said in ("on stdout", "on stderr", "in the log", "by a child"):
        assert text.count(f"said {said}") == 5


def test_an_environment_has_one_stream(cloud: Aws, talker: Function) -> None:
    assert len(streams(cloud, talker)) == 1


def test_the_context_names_the_stream(cloud: Aws, functions: Lambda, probe: Function) -> None:
    named = functions.invoke(probe, {"do": "context"}).document["stream"]
    until(lambda: named in streams(cloud, probe))


def test_a_pattern_finds_its_lines(cloud: Aws, talker: Function) -> None:
    assert len(lines(cloud, talker, filterPattern='"said on stdout"')) == 5


def test_a_retention_is_kept(aws: Aws) -> None:
    logs, name = aws.client("logs"), unique("/group")
    logs.create_log_group(logGroupName=name)
    logs.put_retention_policy(logGroupName=name, retentionInDays=7)
    [found] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert found["retentionInDays"] == 7


def test_a_query_finds_its_lines(cloud: Aws, talker: Function) -> None:
    logs, now = cloud.client("logs"), int(time.time())
    query = logs.start_query(
        logGroupName=group(talker),
        startTime=now - 600,
        endTime=now + 60,
        queryString="fields @timestamp, @message | filter @message like /REPORT/ | limit 20",
    )["queryId"]

    def results() -> list[Any] | None:
        found = logs.get_query_results(queryId=query)
        return found["results"] if found["status"] == "Complete" else None

    assert len(until(results) or []) == 5


def test_an_exception_leaves_its_trace_in_the_log(
    cloud: Aws, functions: Lambda, probe: Function
) -> None:
    functions.invoke(probe, {"do": "raise", "word": "traced"})
    until(lambda: "[ERROR] CustomError: traced" in "\n".join(lines(cloud, probe)))


def test_a_metric_filter_counts_the_lines_that_it_matches(aws: Aws) -> None:
    logs, name, space = aws.client("logs"), unique("/group"), unique("Space")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    logs.put_metric_filter(
        logGroupName=name,
        filterName="errors",
        filterPattern="ERROR",
        metricTransformations=[{"metricName": "E", "metricNamespace": space, "metricValue": "1"}],
    )
    event = {"timestamp": int(time.time() * 1000), "message": "ERROR x"}
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=[event])
    found = until(lambda: aws.client("cloudwatch").list_metrics(Namespace=space)["Metrics"])
    assert [metric["MetricName"] for metric in found] == ["E"]
