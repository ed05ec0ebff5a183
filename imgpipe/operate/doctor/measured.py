"""What CloudWatch knows of a pipeline: its alarms and dashboards, sums over a day, the age of dead letters."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from imgpipe.operate.metrics import AGE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from imgpipe.operate.doctor.asking import Asking
    from imgpipe.operate.doctor.scene import Scene

DAY = timedelta(days=1)
LONGEST_RETENTION = timedelta(days=14)
MAX_QUERIES, MAX_DASHBOARDS = 500, 20
SUMS = {
    "AWS/Lambda": ("FunctionName", ("Errors", "Throttles", "AsyncEventsDropped")),
    "AWS/DynamoDB": ("TableName", ("WriteThrottleEvents", "ReadThrottleEvents")),
    "AWS/SNS": ("TopicName", ("NumberOfNotificationsDelivered", "NumberOfNotificationsFailed")),
}


def alarms(asking: Asking, names: Collection[str]) -> tuple[Mapping[str, Any], ...]:
    """Return the metric alarms on any queue, function, topic or table called in `names`."""
    pages = asking.client("cloudwatch").get_paginator("describe_alarms")
    found = asking.ask(
        "alarms",
        lambda: [
            alarm
            for page in pages.paginate(AlarmTypes=["MetricAlarm"])
            for alarm in page["MetricAlarms"]
        ],
    )
    return tuple(
        alarm
        for alarm in found or ()
        if any(one["Value"] in names for one in alarm.get("Dimensions", ()))
    )


def dashboards(asking: Asking, prefix: str) -> dict[str, str]:
    """Return name and body of the dashboards whose names begin with `prefix`; of the first ones, for none."""
    client = asking.client("cloudwatch")
    listed = asking.ask(
        "dashboards",
        lambda: client.list_dashboards(**({"DashboardNamePrefix": prefix} if prefix else {})),
    )
    names = [one["DashboardName"] for one in (listed or {}).get("DashboardEntries", ())]
    found: dict[str, str] = {}
    for name in names[:MAX_DASHBOARDS]:
        body = asking.ask(
            f"dashboard {name}",
            lambda name=name: client.get_dashboard(DashboardName=name)["DashboardBody"],  # type: ignore[misc]
        )
        found[name] = body or ""
    return found


def day(asking: Asking, scene: Scene) -> dict[tuple[str, str], float]:
    """Return sums over the last day: (function, table or topic; metric) -> count."""
    things = {
        "AWS/Lambda": [one.name for one in scene.functions.values() if not one.missing],
        "AWS/DynamoDB": [one.name for one in scene.tables.values() if not one.missing],
        "AWS/SNS": [one.name for one in scene.topics.values() if not one.missing],
    }
    wanted = [
        (namespace, SUMS[namespace][0], name, metric)
        for namespace, names in things.items()
        for name in names
        for metric in SUMS[namespace][1]
    ]
    found = _data(asking, wanted, "Sum", scene.now - DAY, scene.now)
    return {(name, metric): sum(values) for (name, metric), (values, _) in found.items()}


def ages(asking: Asking, scene: Scene) -> dict[str, float]:
    """Return for each dead-letter queue how old its oldest letter is now, in seconds since it became one.

    SQS falls silent about a queue that nobody used for six hours: what it last said is counted on from there.
    """
    wanted = [
        ("AWS/SQS", "QueueName", queue.name, AGE)
        for queue in scene.dead_letter_queues().values()
        if queue.visible
    ]
    found = _data(asking, wanted, "Maximum", scene.now - LONGEST_RETENTION, scene.now)
    return {
        name: values[0] + max(0.0, (scene.now - times[0]).total_seconds())
        for (name, _), (values, times) in found.items()
    }


Series = tuple[list[float], list[Any]]


def _data(
    asking: Asking,
    wanted: list[tuple[str, str, str, str]],
    statistic: str,
    start: datetime,
    end: datetime,
) -> dict[tuple[str, str], Series]:
    found: dict[tuple[str, str], Series] = {}
    for first in range(0, len(wanted), MAX_QUERIES):
        some = wanted[first : first + MAX_QUERIES]
        for number, series in _answers(asking, some, statistic, start, end):
            found[some[number][2], some[number][3]] = series
    return found


def _answers(
    asking: Asking,
    wanted: list[tuple[str, str, str, str]],
    statistic: str,
    start: datetime,
    end: datetime,
) -> Iterator[tuple[int, Series]]:
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": metric,
                    "Dimensions": [{"Name": dimension, "Value": name}],
                },
                "Period": 3600,
                "Stat": statistic,
            },
        }
        for number, (namespace, dimension, name, metric) in enumerate(wanted)
    ]
    pages = asking.client("cloudwatch").get_paginator("get_metric_data")
    answer = asking.ask(
        "metrics",
        lambda: [
            result
            for page in pages.paginate(
                MetricDataQueries=queries,
                StartTime=start,
                EndTime=end,
                ScanBy="TimestampDescending",
            )
            for result in page["MetricDataResults"]
        ],
    )
    for result in answer or ():
        if result["Values"]:
            yield int(result["Id"][1:]), (result["Values"], result["Timestamps"])
