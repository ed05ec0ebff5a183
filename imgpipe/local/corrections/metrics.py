"""What the embedded cloud measures of itself: AWS/SQS, AWS/Lambda and AWS/SNS, in the names and
units of AWS.

Faults of stock ministack: it has no AWS/SQS and no AWS/SNS at all and AWS/Lambda only for
synchronous invocations, so that an alarm on a dead-letter queue never goes off; and it keeps every
single measurement for two weeks, and goes through all of them at every request.

Here a measurement joins the sum, the extremes and the count of its ten seconds, and after an hour
of its minute; a day later it is gone. Durations stay single for that first hour, because
percentiles need them.

Left out: what needs no watching here (sizes, fair-queue metrics, iterator age).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET_S = 10
"""How finely counts and depths are kept: also the shortest period of an alarm."""
COARSE_AFTER_S = 3_600
COARSE_S = 60
KEEP_S = 86_400
KEEP_OTHERS_S = 14 * 86_400
"""How long metrics are kept that were put by a request."""
MEASURED_HERE = "AWS/"
"""Namespaces that the embedded cloud writes itself, in the order of time."""
SINGLE = frozenset({("AWS/Lambda", "Duration")})
"""Metrics whose values are kept one by one while they are young."""

Point = dict[str, Any]

_lock = threading.Lock()


def record(
    namespace: str,
    name: str,
    value: float,
    unit: str = "None",
    dimensions: dict[str, str] | None = None,
) -> None:
    """Add a measurement, in the account and Region of the current request."""
    labels = dict(dimensions or {})
    now = time.time()
    with _lock:
        points = cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(labels)))
        if (namespace, name) in SINGLE:
            points.append(
                {"Timestamp": now, "Value": float(value), "Unit": unit, "Dimensions": labels}
            )
        else:
            _join(points, now - now % BUCKET_S, one(float(value)), unit, labels)


def one(value: float) -> dict[str, float]:
    return {"SampleCount": 1.0, "Sum": value, "Minimum": value, "Maximum": value}


def merge(into: dict[str, float], other: dict[str, float]) -> None:
    into["SampleCount"] += other["SampleCount"]
    into["Sum"] += other["Sum"]
    into["Minimum"] = min(into["Minimum"], other["Minimum"])
    into["Maximum"] = max(into["Maximum"], other["Maximum"])


def _join(
    points: list[Point], start: float, values: dict[str, float], unit: str, labels: dict[str, str]
) -> None:
    if points and points[-1]["Timestamp"] == start and "_stat" in points[-1]:
        merge(points[-1]["_stat"], values)
        points[-1]["Value"] = points[-1]["_stat"]["Sum"] / points[-1]["_stat"]["SampleCount"]
        return
    point = {
        "Timestamp": start,
        "Unit": unit,
        "Dimensions": labels,
        "Value": values["Sum"] / values["SampleCount"],
    }
    points.append({**point, "_stat": values})


def compact(now: float) -> None:
    """Make minutes of our own that are older than an hour; drop what is too old."""
    with _lock:
        for key, points in list(cloudwatch._metrics._data.items()):
            if not points or points[0]["Timestamp"] > now - COARSE_AFTER_S:
                continue
            ours = str(key[-1][0]).startswith(MEASURED_HERE)
            kept = list(_coarser(points, now) if ours else _younger(points, now - KEEP_OTHERS_S))
            if kept:
                points[:] = kept
            else:
                del cloudwatch._metrics._data[key]


def _younger(points: list[Point], moment: float) -> Iterator[Point]:
    return (point for point in points if point["Timestamp"] >= moment)


def _coarser(points: list[Point], now: float) -> Iterator[Point]:
    minutes: list[Point] = []
    for point in points:
        age = now - point["Timestamp"]
        if age > KEEP_S:
            continue
        if age > COARSE_AFTER_S:
            start = point["Timestamp"] - point["Timestamp"] % COARSE_S
            _join(
                minutes,
                start,
                _values(point),
                point.get("Unit", "None"),
                point.get("Dimensions") or {},
            )
        else:
            yield from minutes
            minutes = []
            yield point
    yield from minutes


def _values(point: Point) -> dict[str, float]:
    count, total, low, high = cloudwatch._point_stats(point)
    return {"SampleCount": count, "Sum": total, "Minimum": low, "Maximum": high}


# SQS


def _count(queue: dict[str, Any], name: str, number: int, unit: str = "Count") -> None:
    if number:
        record_for_queue(queue, name, number, unit)


def record_for_queue(queue: dict[str, Any], name: str, value: float, unit: str = "Count") -> None:
    """Add a measurement of a queue, in the account and Region that it belongs to."""
    _, _, _, region, account, queue_name = queue["attributes"]["QueueArn"].split(":", 5)
    with request_scope(account, region):
        record("AWS/SQS", name, value, unit, {"QueueName": queue_name})


def count_sent(queue: dict[str, Any]) -> None:
    """A message was sent to the queue. One that SQS itself moves between queues was not."""
    _count(queue, "NumberOfMessagesSent", 1)


def count_received(queue: dict[str, Any], number: int) -> None:
    _count(queue, "NumberOfMessagesReceived", number)


def count_deleted(queue: dict[str, Any], number: int) -> None:
    _count(queue, "NumberOfMessagesDeleted", number)


def install() -> None:
    cloudwatch.record_metric = record
    cloudwatch._evict_old_metrics = lambda: None
