"""The dashboard of the default pipeline: every queue and function of the graph, each with its dimension."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imgpipe.deploy import resources as r
from imgpipe.operate.dashboard import url
from tests.unit.deploy.declared import REGION, studio

STUDIO = studio("prod")
[DASHBOARD] = STUDIO.of(r.Dashboard)
WIDGETS: list[dict[str, Any]] = json.loads(DASHBOARD.body)["widgets"]


def charted(metric: str) -> set[str]:
    """Return the names that a metric is drawn for."""
    return {
        series[3]
        for widget in WIDGETS
        if widget["type"] == "metric"
        for series in widget["properties"]["metrics"]
        if series[1] == metric
    }


@pytest.mark.capability("S4-6")
def test_it_draws_every_queue_and_function() -> None:
    queues = {branch.queue for branch in STUDIO.branches if branch.queue}
    dead = {queue.name for queue in STUDIO.of(r.Queue) if queue.name.endswith("-dlq")}
    functions = {function.name for function in STUDIO.of(r.Function)}
    assert charted("ApproximateAgeOfOldestMessage") == queues
    assert charted("ApproximateNumberOfMessagesVisible") == queues | dead | {STUDIO.rejected_queue}
    for metric in ("Errors", "Throttles", "Duration", "ConcurrentExecutions"):
        assert charted(metric) == functions


def test_every_series_names_a_dimension_and_its_chart_a_region() -> None:
    charts = [widget["properties"] for widget in WIDGETS if widget["type"] == "metric"]
    for chart in charts:
        assert chart["region"] == REGION
        assert chart["metrics"]
        for namespace, _, dimension, value, shown in chart["metrics"]:
            wanted = {"AWS/SQS": "QueueName", "AWS/SNS": "TopicName", "AWS/Lambda": "FunctionName"}
            assert dimension == wanted.get(namespace, "TableName")
            assert value
            assert shown["label"]


def test_every_alarm_is_on_it() -> None:
    [widget] = [widget for widget in WIDGETS if widget["type"] == "alarm"]
    arns = {STUDIO.place.alarm_arn(alarm.name) for alarm in STUDIO.of(r.Alarm)}
    assert set(widget["properties"]["alarms"]) == arns


def test_nothing_overlaps_and_nothing_is_wider_than_the_page() -> None:
    cells = [
        (x, y)
        for one in WIDGETS
        for x in range(one["x"], one["x"] + one["width"])
        for y in range(one["y"], one["y"] + one["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_its_name_carries_the_region_because_dashboards_are_an_accounts() -> None:
    assert DASHBOARD.name == f"photo-studio-prod-{REGION}"
    assert STUDIO.place.dashboard_arn("x") == "arn:aws:cloudwatch::123456789012:dashboard/x"


def test_its_address_is_in_the_regions_console() -> None:
    assert url(STUDIO.place, DASHBOARD.name) == (
        f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}"
        f"#dashboards/dashboard/{DASHBOARD.name}"
    )
