"""What an operator asks first, on one CloudWatch page: is anything wrong, does work come in and go
out, where does it wait, what fails, what do the functions do.

Every series names its dimensions; a metric without them belongs to nobody and draws nothing. A page
of one pipeline is one of an account, not of a Region: dashboards have no Region in their ARN, so the
Region is part of the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgpipe.deploy.names import COMPLETED, CREATED_TOPIC, DLQ_ENDING, REJECTED
from imgpipe.deploy.resources import Alarm, Dashboard, Table, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgpipe.deploy.building import Build

Widget = dict[str, Any]
Series = list[Any]

COLUMNS = 24
"""A CloudWatch page is 24 units wide."""
ROW_HEIGHT = 6
MAX_ALARMS = 100
"""In one alarm widget."""
MINUTE_S = 60


def show(build: Build) -> None:
    """Add the page about what is in `build` so far."""
    widgets = [*_rows(build)]
    build.add(Dashboard(name=build.names.dashboard, body=canonical({"widgets": widgets})))


def _rows(build: Build) -> Iterator[Widget]:
    yield _at(0, 0, COLUMNS, 2, _words(build))
    yield _at(0, 2, COLUMNS, 3, _alarms(build))
    widgets = [
        *_flow(build),
        *_waiting(build),
        *_functions(build),
        *_called(build),
        *_storage(build),
    ]
    for number, widget in enumerate(widgets):
        line, third = divmod(number, 3)
        yield _at(third * 8, 5 + line * ROW_HEIGHT, 8, ROW_HEIGHT, widget)


def _at(x: int, y: int, width: int, height: int, widget: Widget) -> Widget:
    return {**widget, "x": x, "y": y, "width": width, "height": height}


def _words(build: Build) -> Widget:
    env = build.names.environment
    text = (
        f"# {build.spec.name} · {env}\n"
        f"`imgpipe status --env {env}` · `imgpipe dlq list --env {env}` · `imgpipe logs --env {env}`"
    )
    return {"type": "text", "properties": {"markdown": text}}


def _alarms(build: Build) -> Widget:
    names = [made.name for made in build.resources if isinstance(made, Alarm)]
    arns = [build.place.alarm_arn(name) for name in names[:MAX_ALARMS]]
    return {"type": "alarm", "properties": {"title": "Alarms", "alarms": arns}}


def _flow(build: Build) -> Iterator[Widget]:
    """Uploads in, images ended, and what went wrong on the way."""
    published = [
        _series("AWS/SNS", "NumberOfMessagesPublished", "TopicName", build.names.part(short), label)
        for short, label in ((CREATED_TOPIC, "uploads"), (COMPLETED, "images ended"))
        if short in build.topics
    ]
    yield _chart(build, "Uploads and images ended, a minute", published, "Sum")
    refused = [
        _series(
            "AWS/SQS", "NumberOfMessagesSent", "QueueName", build.names.part(REJECTED), "letters"
        )
    ]
    yield _chart(build, "Refused as bad input, a minute", refused, "Sum")
    undelivered = [
        _series("AWS/SNS", "NumberOfNotificationsFailed", "TopicName", name, short)
        for short, name in build.topics.items()
    ]
    yield _chart(build, "What SNS could not deliver", undelivered, "Sum")


def _waiting(build: Build) -> Iterator[Widget]:
    work = {branch.name: branch.queue for branch in build.branches if branch.queue}
    dead = [short for short in build.queues if short.endswith(DLQ_ENDING) or short == REJECTED]
    for title, metric in (
        ("Messages that wait", "ApproximateNumberOfMessagesVisible"),
        ("Messages in work", "ApproximateNumberOfMessagesNotVisible"),
        ("Age of the oldest message, seconds", "ApproximateAgeOfOldestMessage"),
    ):
        series = [_series("AWS/SQS", metric, "QueueName", name, at) for at, name in work.items()]
        yield _chart(build, title, series, "Maximum")
    letters = [
        _series(
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            "QueueName",
            build.queues[short],
            short.removesuffix(DLQ_ENDING),
        )
        for short in dead
    ]
    yield _chart(build, "Dead letters and refused uploads", letters, "Maximum")


def _functions(build: Build) -> Iterator[Widget]:
    for title, metric, statistic in (
        ("Errors", "Errors", "Sum"),
        ("Throttles", "Throttles", "Sum"),
        ("Duration, milliseconds, 95 of 100 are below", "Duration", "p95"),
        ("Concurrent executions", "ConcurrentExecutions", "Maximum"),
        ("Invocations, a minute", "Invocations", "Sum"),
        ("Events given up or not handed on", "AsyncEventsDropped", "Sum"),
    ):
        series = [
            _series("AWS/Lambda", metric, "FunctionName", branch.function, branch.name)
            for branch in (*build.branches, *build.called)
            if branch.function  # a step of workers has none
        ]
        yield _chart(build, title, series, statistic)


def _called(build: Build) -> Iterator[Widget]:
    """How often leave to upload over HTTP was asked for, and refused."""
    series = [
        _series("AWS/Lambda", metric, "FunctionName", branch.function, label)
        for branch in build.called
        if branch.function
        for metric, label in (
            ("UrlRequestCount", "asked"),
            ("Url4xxCount", "refused"),
            ("Url5xxCount", "failed"),
        )
    ]
    if series:
        yield _chart(build, "Leave to upload over HTTP, a minute", series, "Sum")


def _storage(build: Build) -> Iterator[Widget]:
    tables = [made.name for made in build.resources if isinstance(made, Table)]
    series = [
        _series("AWS/DynamoDB", metric, "TableName", name, label)
        for name in tables
        for metric, label in (
            ("ConsumedWriteCapacityUnits", "writes"),
            ("WriteThrottleEvents", "writes throttled"),
            ("ReadThrottleEvents", "reads throttled"),
        )
    ]
    yield _chart(build, "Table", series, "Sum")


def _series(namespace: str, metric: str, dimension: str, value: str, label: str) -> Series:
    return [namespace, metric, dimension, value, {"label": label}]


def _chart(build: Build, title: str, series: Iterable[Series], statistic: str) -> Widget:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "metrics": list(series),
            "stat": statistic,
            "period": MINUTE_S,
            "region": build.place.region,
            "view": "timeSeries",
            "yAxis": {"left": {"min": 0}},
        },
    }
