"""What Lambda refuses about an event source mapping, decided without looking at anything live.

Faults of stock ministack: a batch over 10 without a window, a queue whose visibility is shorter
than the function's timeout, a second mapping of the same queue and function, a filter that isn't
JSON, a role that may not read the queue and a queue that isn't there are all accepted. AWS refuses
each, with the codes and words used here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

INVALID = "InvalidParameterValueException"
CONFLICT = "ResourceConflictException"

MAX_BATCH, MAX_FIFO_BATCH = 10_000, 10
BATCH_WITHOUT_WINDOW = 10
MAX_WINDOW_S = 300
MAX_FILTERS = 5
ROLE_ACTIONS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


@dataclass(frozen=True, slots=True)
class Refusal:
    """AWS's answer: an error code, its words and the HTTP status."""

    code: str
    message: str
    status: int = 400


def invalid(message: str) -> Refusal:
    return Refusal(INVALID, message)


def batch(size: int, window_s: int, *, fifo: bool) -> Refusal | None:
    """Judge the batch size and the batching window of a queue's mapping."""
    most = MAX_FIFO_BATCH if fifo else MAX_BATCH
    if not 1 <= size <= most:
        return invalid(f"Batch size must be between 1 and {most} for this event source.")
    if not 0 <= window_s <= MAX_WINDOW_S:
        return invalid(f"Maximum batch window in seconds must be between 0 and {MAX_WINDOW_S}.")
    if fifo and window_s:
        return invalid("Batching window is not supported for FIFO queues.")
    if size > BATCH_WITHOUT_WINDOW and window_s < 1:
        return invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            "greater than 10"
        )
    return None


def visibility(visibility_s: int, timeout_s: int) -> Refusal | None:
    """Judge whether a message stays hidden for as long as the function may work on it."""
    if visibility_s >= timeout_s:
        return None
    return invalid(
        f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
        f"{timeout_s} seconds"
    )


def filters(criteria: Mapping[str, Any] | None) -> Refusal | None:
    """Judge the patterns: each a JSON object."""
    patterns = [each.get("Pattern") for each in (criteria or {}).get("Filters") or []]
    if len(patterns) > MAX_FILTERS:
        return invalid(f"Filter count exceeds the maximum of {MAX_FILTERS}.")
    return None if all(map(_is_object, patterns)) else invalid("Invalid filter pattern definition.")


def _is_object(text: Any) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        return False


def duplicate(source_arn: str, function: str, uuid: str) -> Refusal:
    return Refusal(
        CONFLICT,
        f'An event source mapping with SQS arn (" {source_arn} ") and function (" {function} ") already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}",
        409,
    )


def no_queue() -> Refusal:
    return invalid(
        "Error occurred while ReceiveMessage. SQS Error Code: "
        "AWS.SimpleQueueService.NonExistentQueue. SQS Error "
        "Message: The specified queue does not exist or you do not have access to it."
    )


def may_not(action: str) -> Refusal:
    return invalid(f"The provided execution role does not have permissions to call {action} on SQS")


def destination() -> Refusal:
    return invalid("Unsupported DestinationConfig parameter for given event source mapping type.")
