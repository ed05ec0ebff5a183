"""Telling the world that an alarm changed its state.

Faults of stock ministack: a topic hears of an alarm whatever the topic's policy says, in a
document that lacks what AWS's has; functions are no actions; nothing is noted in the alarm's
history."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch

from imgpipe.local.corrections import send

log = logging.getLogger("cloudwatch")

Alarm = dict[str, Any]

FIELDS = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
REGION_NAMES = {"us-east-1": "US East (N. Virginia)", "eu-west-1": "EU (Ireland)"}
MAX_SUBJECT = 100


def dispatch(alarm: Alarm, old_state: str, new_state: str, reason: str) -> None:
    """Run the alarm's actions for its new state, and note in its history how that went."""
    if not alarm.get("ActionsEnabled", True):
        return
    document = describe(alarm, old_state, new_state, reason)
    for action in alarm.get(FIELDS[new_state]) or []:
        _note(alarm, action, _run(alarm, action, new_state, document))


def describe(alarm: Alarm, old_state: str, new_state: str, reason: str) -> dict[str, Any]:
    """Return the document that AWS sends to a topic."""
    region = get_region()
    lists = {name: alarm.get(name) or [] for name in FIELDS.values()}
    return {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": get_account_id(),
        "AlarmConfigurationUpdatedTimestamp": _time(
            alarm.get("AlarmConfigurationUpdatedTimestamp")
        ),
        "NewStateValue": new_state,
        "NewStateReason": reason,
        "StateChangeTime": _time(None),
        "Region": REGION_NAMES.get(region, region),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": old_state,
        **lists,
        **(
            {"Trigger": _trigger(alarm)}
            if alarm.get("MetricName")
            else {"AlarmRule": alarm.get("AlarmRule")}
        ),
    }


def _trigger(alarm: Alarm) -> dict[str, Any]:
    extended = alarm.get("ExtendedStatistic")
    statistic = (
        {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": extended}
        if extended
        else {"StatisticType": "Statistic", "Statistic": str(alarm.get("Statistic") or "").upper()}
    )
    return {
        "MetricName": alarm["MetricName"],
        "Namespace": alarm.get("Namespace"),
        **statistic,
        "Unit": alarm.get("Unit"),
        "Dimensions": [
            {"value": each["Value"], "name": each["Name"]} for each in alarm.get("Dimensions") or []
        ],
        "Period": alarm.get("Period"),
        "EvaluationPeriods": alarm.get("EvaluationPeriods"),
        **(
            {"DatapointsToAlarm": alarm["DatapointsToAlarm"]}
            if "DatapointsToAlarm" in alarm
            else {}
        ),
        "ComparisonOperator": alarm.get("ComparisonOperator"),
        "Threshold": alarm.get("Threshold"),
        "TreatMissingData": alarm.get("TreatMissingData") or "missing",
        "EvaluateLowSampleCountPercentile": "",
    }


def _time(epoch: float | None) -> str:
    moment = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(epoch, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _run(alarm: Alarm, action: str, new_state: str, document: dict[str, Any]) -> str | None:
    """Run one action; return what went wrong, if anything."""
    try:
        service = parse_arn(action).service
    except ArnParseError:
        service = ""
    source, account = alarm["AlarmArn"], get_account_id()
    try:
        if service == "sns":
            sender = send.Sender(service="cloudwatch.amazonaws.com", source=source, account=account)
            subject = f'{new_state}: "{alarm["AlarmName"]}" in {document["Region"]}'[:MAX_SUBJECT]
            send.to_topic(sender, action, json.dumps(document), subject)
        elif service == "lambda":
            sender = send.Sender(
                service="lambda.alarms.cloudwatch.amazonaws.com", source=source, account=account
            )
            send.to_function(sender, action, _event(document))
        else:
            return f"{service or action} is no target that the embedded cloud knows"
    except send.RefusedError as error:
        return error.message
    return None


def _event(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "source": "aws.cloudwatch",
        "alarmArn": document["AlarmArn"],
        "accountId": document["AWSAccountId"],
        "time": document["StateChangeTime"],
        "region": get_region(),
        "alarmData": {
            "alarmName": document["AlarmName"],
            "state": {"value": document["NewStateValue"], "reason": document["NewStateReason"]},
            "previousState": {"value": document["OldStateValue"]},
        },
    }


def _note(alarm: Alarm, action: str, problem: str | None) -> None:
    if problem is not None:
        log.error("alarm %s could not tell %s: %s", alarm["AlarmName"], action, problem)
    done = "Successfully executed" if problem is None else "Failed to execute"
    cloudwatch._history_entries().append(
        {
            "AlarmName": alarm["AlarmName"],
            "AlarmType": "MetricAlarm" if alarm.get("MetricName") else "CompositeAlarm",
            "Timestamp": cloudwatch._ts_iso(datetime.now(UTC).timestamp()),
            "HistoryItemType": "Action",
            "HistorySummary": f"{done} action {action}",
            "HistoryData": json.dumps(
                {"actionState": "Failed" if problem else "Succeeded", "error": problem}
            ),
        }
    )


def install() -> None:
    cloudwatch._dispatch_alarm_actions = dispatch
