"""What CloudWatch measured in the last minutes, for all queues and functions in one call.

It is a minute or two behind, and silent about a queue or function that nobody used: what is missing
is not known, and never zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from imgpipe.runtime import log
from imgpipe.runtime.entry import FAILED

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

MINUTES = 5
AGE = "ApproximateAgeOfOldestMessage"
FUNCTION: Mapping[str, str] = {
    "invocations": "Invocations",
    "errors": "Errors",
    "throttles": "Throttles",
    "concurrency": "ConcurrentExecutions",
}
"""Our word for each of a function's metrics."""
FUNCTION_WORDS: Mapping[str, str] = {**FUNCTION, "failed_attempts": FAILED}
_MAX_QUERIES = 500
_LATEST = {AGE}
_HIGHEST = {"ConcurrentExecutions"}

Name = tuple[str, str]
Known = Mapping[tuple[str, str], float]
"""(queue or function, metric) -> the latest age, the highest concurrency, or the sum over the last minutes."""


def latest(project: Project) -> Known:
    """Return what was measured in the last minutes."""
    end = datetime.now(UTC)
    found = series(project, dict(_queries(project)), end - timedelta(minutes=MINUTES), end)
    return {
        name: _reduce(name[1], [value for _, value in points]) for name, points in found.items()
    }


def series(
    project: Project, wanted: Mapping[Name, Mapping[str, Any]], start: datetime, end: datetime
) -> dict[Name, list[tuple[datetime, float]]]:
    """Return the points of each metric that is wanted, the newest first; one without points is left out."""
    client = project.cloud.client("cloudwatch")
    queries = list(wanted.items())
    known: dict[Name, list[tuple[datetime, float]]] = {}
    for first in range(0, len(queries), _MAX_QUERIES):
        some = queries[first : first + _MAX_QUERIES]
        names = {f"m{number}": name for number, (name, _) in enumerate(some)}
        asked = [{"Id": f"m{number}", "MetricStat": it} for number, (_, it) in enumerate(some)]
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=asked, StartTime=start, EndTime=end, ScanBy="TimestampDescending"
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                points = list(zip(result["Timestamps"], result["Values"], strict=True))
                if points:
                    known.setdefault(names[result["Id"]], []).extend(points)
    return known


def _reduce(metric: str, newest_first: list[float]) -> float:
    if metric in _LATEST:
        return newest_first[0]
    return max(newest_first) if metric in _HIGHEST else sum(newest_first)


def _queries(project: Project) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for queue in project.graph.queues.values():
        yield (queue, AGE), stat("AWS/SQS", AGE, "QueueName", queue, "Maximum")
    for function in filter(None, (branch.function for branch in project.graph.branches)):
        for metric in FUNCTION.values():
            statistic = "Maximum" if metric in _HIGHEST else "Sum"
            yield (
                (function, metric),
                stat("AWS/Lambda", metric, "FunctionName", function, statistic),
            )
        yield (function, FAILED), stat(log.NAMESPACE, FAILED, "FunctionName", function, "Sum")


def stat(namespace: str, metric: str, dimension: str, name: str, statistic: str) -> dict[str, Any]:
    """Return the question for a metric by the minute, as GetMetricData takes it."""
    return {
        "Metric": {
            "Namespace": namespace,
            "MetricName": metric,
            "Dimensions": [{"Name": dimension, "Value": name}],
        },
        "Period": 60,
        "Stat": statistic,
    }
