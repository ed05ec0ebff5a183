"""CloudWatch: metric alarms and the dashboard. Putting an alarm again keeps the state that it is in.

CloudWatch answers only nine DescribeAlarms a second, so all of ours are read at once, by their names' beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from imgpipe.deploy.providers.site import Site, found, gone, last
from imgpipe.deploy.resources import Alarm, Dashboard, Key, canonical


class Alarms:
    def __init__(self, site: Site) -> None:
        self._site, self._cloudwatch = site, site.client("cloudwatch")

    def read(self, anchor: str, declared: Mapping[Key, Alarm]) -> Iterable[Alarm]:
        """Yield the alarms whose names begin with `anchor`; one that isn't declared only if it carries our tags."""
        pages = self._cloudwatch.get_paginator("describe_alarms")
        for page in pages.paginate(AlarmNamePrefix=anchor, AlarmTypes=["MetricAlarm"]):
            for found_alarm in page["MetricAlarms"]:
                made = _alarm(found_alarm)
                if made.key in declared or self._is_tagged(made.name):
                    yield made

    def create(self, wanted: Alarm) -> None:
        topic = self._site.place.topic_arn(wanted.action)
        self._cloudwatch.put_metric_alarm(
            AlarmName=wanted.name,
            AlarmDescription=wanted.description,
            Namespace=wanted.namespace,
            MetricName=wanted.metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in wanted.dimensions],
            Statistic=wanted.statistic,
            Period=wanted.period_s,
            EvaluationPeriods=wanted.evaluation_periods,
            DatapointsToAlarm=wanted.datapoints_to_alarm,
            Threshold=wanted.threshold,
            ComparisonOperator=wanted.comparison,
            TreatMissingData=wanted.treat_missing_data,
            AlarmActions=[topic],
            OKActions=[topic],
            Tags=self._site.tag_list,
        )

    def update(self, wanted: Alarm, _before: Alarm) -> None:
        """Overwrite the alarm. Its state is kept."""
        self.create(wanted)

    def delete(self, before: Alarm) -> None:
        gone(lambda: self._cloudwatch.delete_alarms(AlarmNames=[before.name]))

    def _is_tagged(self, name: str) -> bool:
        arn = self._site.place.alarm_arn(name)
        answer = found(lambda: self._cloudwatch.list_tags_for_resource(ResourceARN=arn)) or {
            "Tags": []
        }
        return self._site.owns({tag["Key"]: tag["Value"] for tag in answer["Tags"]})


class Dashboards:
    """The pages of graphs. Their names are an account's; whose a page is, its name says."""

    def __init__(self, site: Site) -> None:
        self._site, self._cloudwatch = site, site.client("cloudwatch")

    def read(self, anchor: str, _declared: Mapping[Key, Dashboard]) -> Iterable[Dashboard]:
        there = found(lambda: self._cloudwatch.get_dashboard(DashboardName=anchor))
        if there is not None:
            yield Dashboard(name=anchor, body=_tidied(there["DashboardBody"]))

    def create(self, wanted: Dashboard) -> None:
        self._cloudwatch.put_dashboard(
            DashboardName=wanted.name, DashboardBody=wanted.body, Tags=self._site.tag_list
        )

    def update(self, wanted: Dashboard, _before: Dashboard) -> None:
        """Replace the page. CloudWatch takes tags at its creation only, and passes over them here."""
        self.create(wanted)

    def delete(self, before: Dashboard) -> None:
        gone(lambda: self._cloudwatch.delete_dashboards(DashboardNames=[before.name]))


def _tidied(body: str) -> str:
    """Return `body` in our spelling of JSON, so that equal pages are equal; as it is if it is no JSON."""
    try:
        return canonical(json.loads(body))
    except ValueError:
        return body


def _alarm(there: dict[str, Any]) -> Alarm:
    return Alarm(
        name=there["AlarmName"],
        description=there.get("AlarmDescription", ""),
        namespace=there.get("Namespace", ""),
        metric=there.get("MetricName", ""),
        dimensions=tuple((one["Name"], one["Value"]) for one in there.get("Dimensions", ())),
        statistic=there.get("Statistic", ""),
        period_s=there.get("Period", 0),
        evaluation_periods=there["EvaluationPeriods"],
        datapoints_to_alarm=there.get("DatapointsToAlarm", there["EvaluationPeriods"]),
        threshold=float(there.get("Threshold", 0.0)),
        comparison=there["ComparisonOperator"],
        action=_action(there),
        treat_missing_data=there.get("TreatMissingData", "missing"),
    )


def _action(there: dict[str, Any]) -> str:
    """Return the topic that hears both of the alarm and of its end; anything else is not as we made it."""
    alarm, over = there.get("AlarmActions", []), there.get("OKActions", [])
    return last(alarm[0]) if alarm == over and len(alarm) == 1 else ""
