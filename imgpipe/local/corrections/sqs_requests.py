"""Deleting messages and changing their visibility, as requests ask for it.

Faults of stock ministack, and AWS's behaviour:
- Deleting with the handle of a message that is already gone is an error. AWS answers 200:
  consumers retry deletes.
- `ChangeMessageVisibility` works on a message that is visible again. AWS refuses it.
- A batch of deletions goes through the queue once for each entry.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from ministack.services import sqs

from imgpipe.local.corrections import sqs_messages, wake

if TYPE_CHECKING:
    from imgpipe.local.corrections.sqs_messages import Queue

HANDLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What our receipt handles look like."""


def _check_handle(handle: str) -> None:
    if not handle:
        raise sqs._Err("MissingParameter", "The request must contain the parameter ReceiptHandle.")
    if not HANDLE.fullmatch(handle):
        raise sqs._Err(
            "ReceiptHandleIsInvalid",
            f'The input receipt handle "{handle}" is not a valid receipt handle.',
            404,
        )


def _delete_message(data: dict[str, Any], url: str) -> dict[str, Any]:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:DeleteMessage")
    handle = str(data.get("ReceiptHandle") or "")
    _check_handle(handle)
    sqs_messages.delete(queue, {handle})
    return {}


def _delete_batch(data: dict[str, Any], url: str) -> dict[str, Any]:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:DeleteMessage")
    entries = data.get("Entries") or []
    sqs._validate_batch_entries(entries, "DeleteMessageBatchRequestEntry")
    good, bad = _sort_entries(entries)
    sqs_messages.delete(queue, {str(entry["ReceiptHandle"]) for entry in good})
    return {"Successful": [{"Id": entry["Id"]} for entry in good], "Failed": bad}


def _sort_entries(
    entries: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    good, bad = [], []
    for entry in entries:
        try:
            _check_handle(str(entry.get("ReceiptHandle") or ""))
        except sqs._Err as error:
            bad.append(_failure(entry, error))
        else:
            good.append(entry)
    return good, bad


def _failure(entry: dict[str, Any], error: Any) -> dict[str, Any]:
    return {
        "Id": entry.get("Id", ""),
        "Code": error.code,
        "Message": error.message,
        "SenderFault": True,
    }


def _change_visibility(data: dict[str, Any], url: str) -> dict[str, Any]:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:ChangeMessageVisibility")
    _hide(queue, data)
    return {}


def _change_visibility_batch(data: dict[str, Any], url: str) -> dict[str, Any]:
    queue = sqs._get_q(data.get("QueueUrl", url), "sqs:ChangeMessageVisibility")
    entries = data.get("Entries") or []
    sqs._validate_batch_entries(entries, "ChangeMessageVisibilityBatchRequestEntry")
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for entry in entries:
        try:
            _hide(queue, entry)
        except sqs._Err as error:
            bad.append(_failure(entry, error))
        else:
            good.append({"Id": entry["Id"]})
    return {"Successful": good, "Failed": bad}


MAX_VISIBILITY_S = 43_200


def _hide(queue: Queue, order: dict[str, Any]) -> None:
    """Set when a message in flight is visible again, as `order` says."""
    handle, seconds = (
        str(order.get("ReceiptHandle") or ""),
        int(order.get("VisibilityTimeout") or 0),
    )
    _check_handle(handle)
    if not 0 <= seconds <= MAX_VISIBILITY_S:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: "
            "VisibilityTimeout must be an "
            f"integer between 0 and {MAX_VISIBILITY_S}.",
        )
    message = next(
        (each for each in queue["messages"] if each.get("receipt_handle") == handle), None
    )
    if message is None:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not "
            "exist or is not "
            "available for visibility timeout change.",
        )
    now = time.time()
    if sqs_messages.is_visible(message, now):
        raise sqs._Err("MessageNotInflight", "The specified message isn't in flight.")
    message["visible_at"] = now + seconds
    wake.ring()


def install() -> None:
    replaced = {
        "DeleteMessage": ("_act_delete_message", _delete_message),
        "DeleteMessageBatch": ("_act_delete_message_batch", _delete_batch),
        "ChangeMessageVisibility": ("_act_change_visibility", _change_visibility),
        "ChangeMessageVisibilityBatch": ("_act_change_visibility_batch", _change_visibility_batch),
    }
    for action, (name, handler) in replaced.items():
        setattr(sqs, name, handler)
        sqs._HANDLERS[action] = handler
