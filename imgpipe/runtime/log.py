"""The functions' log: one JSON object a line on stdout, which Lambda keeps as it stands.

Each record's first line names the message, the key and the step before any work starts, so that the
cause of a killed function (time, memory) is found in its log. Every line also names the request, as
Lambda's own lines do, so that all of one invocation is found with one search. Not the `logging`
module: its configuration belongs to the runtime client.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

NAMESPACE = "imgpipe"
"""Of the metrics that the functions count themselves."""

_request: dict[str, str] = {}


def serving(request_id: str) -> None:
    """Name the invocation that the lines from now on belong to: an environment serves one at a time."""
    _request.clear()
    if request_id:
        _request["request_id"] = request_id


def line(event: str, **fields: object) -> None:
    """Write one line and flush it: the process may not live to see the next one."""
    text = json.dumps({"event": event, **fields, **_request}, ensure_ascii=False, default=str)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def count(event: str, metric: str, value: int, function: str) -> None:
    """Write a line that CloudWatch also adds to the metric `metric` of a function: its embedded metric format.

    Costs no call and no permission: CloudWatch Logs reads it out of the line.
    """
    described = {
        "Namespace": NAMESPACE,
        "Dimensions": [["FunctionName"]],
        "Metrics": [{"Name": metric, "Unit": "Count"}],
    }
    told = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]}
    line(event, **{"_aws": told, "FunctionName": function, metric: value})


def now() -> str:
    """Return the time as ISO 8601 in UTC with milliseconds:

    `2026-01-31T12:00:00.000Z`. Sorts as text.
    """
    return iso(datetime.now(UTC))


def iso(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
