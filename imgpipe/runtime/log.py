"""The functions' log: one JSON object a line on stdout, which Lambda keeps as it stands.

Each record's first line names the message, the key and the step before any work starts, so that the
cause of a killed function (time, memory) is found in its log. Every line also names the request, as
Lambda's own lines do, so that all of one invocation is found with one search. Not the `logging`
module: its configuration belongs to the runtime client.
"""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    sys.stdout.write(dumps({"event": event, **fields, **_request}) + "\n")
    sys.stdout.flush()


_SECRETS = re.compile(
    r"((?:security-?token|signature|credential|secret_?access_?key|session_?token)['\"]?\s*[=:]\s*['\"]?)"
    r"[\w+/=%.-]{8,}",
    re.IGNORECASE,
)
_CANONICAL = re.compile(r"(?:\\n|\s)*The (?:Canonical String|String-to-Sign).*", re.DOTALL)


def told(error: BaseException, most: int = 1000) -> str:
    """Return what an error says, in so many characters at most, without secrets."""
    return without_secrets(str(error))[:most]


def without_secrets(text: str) -> str:
    """Return `text` without keys, tokens and signatures. AWS quotes the request, with its session's token, when it
    tells that a signature is wrong; and whoever has a signed address may use it.
    """
    if "tring" in text:
        text = _CANONICAL.sub("", text)
    return _SECRETS.sub(r"\1…", text)


def dumps(value: object, indent: int | None = None) -> str:
    """Return JSON that people can read and that no text in it can play with: what can't be printed (control
    characters, breaks of a line, turns of its direction, halves of a character) is escaped; all else stays as it is.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text
    )


def count(event: str, metric: str, value: int, function: str) -> None:
    """Write a line that CloudWatch also adds to the metric `metric` of a function.

    Costs no call and no permission: CloudWatch Logs reads it out of the line.
    """
    line(event, **embedded({"FunctionName": function}, {metric: (value, "Count")}))


def embedded(
    dimensions: Mapping[str, str], metrics: Mapping[str, tuple[float, str]]
) -> dict[str, Any]:
    """Return the fields of a line in CloudWatch's embedded metric format: values with their units, under dimensions."""
    described = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in metrics.items()],
    }
    told = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]}
    return {"_aws": told, **dimensions, **{name: value for name, (value, _) in metrics.items()}}


def now() -> str:
    """Return the time as ISO 8601 in UTC with milliseconds:

    `2026-01-31T12:00:00.000Z`. Sorts as text.
    """
    return iso(datetime.now(UTC))


def iso(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
