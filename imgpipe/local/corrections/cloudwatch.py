"""CloudWatch's corrections: what is measured, and alarms that look at it every two seconds.

Fault of stock ministack: an alarm is judged only when somebody puts a metric, and it knows nothing
of the embedded cloud's own queues and functions. Here a clock on the event loop measures the
queues, judges every alarm and lets old figures go. `cloudwatch_judge` decides,
`cloudwatch_actions` tells.

GetMetricData answers the newest first, as AWS does unless it is asked otherwise. Metric math stays
unsupported."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from imgpipe.local import journal
from imgpipe.local.corrections import (
    cloudwatch_actions,
    metrics,
    metrics_lambda,
    metrics_queues,
)
from imgpipe.local.corrections.cloudwatch_judge import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

log = logging.getLogger("cloudwatch")

LOOK_EVERY_S = 2.0
COMPACT_EVERY_S = 300.0


def points_of(alarm: dict[str, Any], now: float) -> Iterator[dict[str, Any]]:
    """Yield the points of the alarm's very metric, dimensions included, that its periods can
    reach.
    """
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []}
    key = (alarm.get("Namespace"), alarm.get("MetricName"), cloudwatch._dims_key(dimensions))
    reach = float(alarm.get("Period") or 60) * int(alarm.get("EvaluationPeriods") or 1)
    ordered = str(alarm.get("Namespace")).startswith(metrics.MEASURED_HERE)
    for point in reversed(cloudwatch._metrics.get(key) or ()):
        if point["Timestamp"] > now - reach:
            yield point
        elif ordered:
            return


def look_at(alarm: dict[str, Any]) -> None:
    """Judge one alarm of the current account and Region, and act if its state changes."""
    if not alarm.get("MetricName"):
        return
    now = time.time()
    verdict = judge(alarm, points_of(alarm, now), now)
    if verdict is not None and verdict.state != alarm["StateValue"]:
        _change(alarm, verdict, now)


def _change(alarm: dict[str, Any], verdict: Verdict, now: float) -> None:
    before = alarm["StateValue"]
    alarm.update(
        StateValue=verdict.state,
        StateReason=verdict.reason,
        StateUpdatedTimestamp=int(now),
        StateReasonData=json.dumps(
            {
                "version": "1.0",
                "statistic": alarm.get("ExtendedStatistic") or alarm.get("Statistic"),
                "period": alarm.get("Period"),
                "recentDatapoints": [each for each in verdict.figures if each is not None],
                "threshold": alarm.get("Threshold"),
            }
        ),
    )
    cloudwatch._record_history(alarm["AlarmName"], before, verdict.state, verdict.reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, verdict.state, verdict.reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def look_at_all() -> None:
    """Judge every alarm there is."""
    for (account, region, _), alarm in cloudwatch._alarms.all_items():
        with request_scope(account, region):
            look_at(alarm)


class Clock:
    """Looks every two seconds, on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._compacted = time.time()

    def tick(self) -> None:
        try:
            self._look()
        except Exception:
            log.exception("the alarms could not be judged; trying again")
        self._loop.call_later(LOOK_EVERY_S, self.tick)

    def _look(self) -> None:
        metrics_queues.sample_now()
        look_at_all()
        if time.time() - self._compacted > COMPACT_EVERY_S:
            self._compacted = time.time()
            metrics.compact(self._compacted)


def _get_metric_data(
    params: Any,
    data: Any,
    is_cbor: bool,
    is_json: bool = False,
) -> Any:
    status, headers, body = _stock_get_metric_data(params, data, is_cbor, is_json)
    if status != HTTPStatus.OK or not is_json or data.get("ScanBy") == "TimestampAscending":
        return status, headers, body
    document = json.loads(body)
    _newest_first(document["MetricDataResults"])
    return status, headers, json.dumps(document).encode()


def _newest_first(results: Iterable[dict[str, Any]]) -> None:
    for result in results:
        result["Timestamps"] = list(reversed(result["Timestamps"]))
        result["Values"] = list(reversed(result["Values"]))


_stock_get_metric_data = cloudwatch._get_metric_data


def install() -> None:
    metrics.install()
    metrics_lambda.install()
    cloudwatch_actions.install()
    cloudwatch._evaluate_alarm = look_at
    cloudwatch._evaluate_all_alarms = look_at_all
    cloudwatch._get_metric_data = _get_metric_data
    journal.when_serving(lambda: Clock(asyncio.get_running_loop()).tick())
