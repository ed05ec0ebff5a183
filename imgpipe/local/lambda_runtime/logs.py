"""Puts a function's events into CloudWatch Logs, as far as its role may.

On AWS it is the function's role that writes its log: without the permission there is none, and
nothing says so but the empty log group. It is the same here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch_logs

from imgpipe.local.corrections import permissions

if TYPE_CHECKING:
    from imgpipe.local.lambda_runtime.function import Function
    from imgpipe.local.lambda_runtime.stream import Event


def keep(function: Function, stream: str, events: list[Event]) -> None:
    """Append the events to the stream, made with its group when it isn't there."""
    with request_scope(function.account, function.region):
        found = _stream(function, stream)
        arn = f"{function.log_group_arn}:log-stream:{stream}"
        if found is None or not permissions.allow(function.role, "logs:PutLogEvents", arn):
            return
        cloudwatch_logs._append_log_events(found, events)
        cloudwatch_logs._fanout_to_subscription_filters(function.log_group, stream, events)


def _stream(function: Function, name: str) -> Any:
    group = cloudwatch_logs._log_groups.get(function.log_group)
    if group is None:
        arn = f"{function.log_group_arn}:*"
        if not permissions.allow(function.role, "logs:CreateLogGroup", arn):
            return None
        group = cloudwatch_logs._log_groups[function.log_group] = _new_group(function.log_group)
    if name not in group["streams"]:
        arn = f"{function.log_group_arn}:*"
        if not permissions.allow(function.role, "logs:CreateLogStream", arn):
            return None
        group["streams"][name] = _new_stream()
    return group["streams"][name]


def _new_group(name: str) -> dict[str, Any]:
    return {
        "arn": cloudwatch_logs._make_group_arn(name),
        "creationTime": int(time.time() * 1000),
        "retentionInDays": None,
        "tags": {},
        "subscriptionFilters": {},
        "streams": {},
    }


def _new_stream() -> dict[str, Any]:
    return {
        "events": [],
        "uploadSequenceToken": "1",
        "creationTime": int(time.time() * 1000),
        "firstEventTimestamp": None,
        "lastEventTimestamp": None,
        "lastIngestionTime": None,
    }
