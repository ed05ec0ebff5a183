"""ministack's stores, empty before and after each test, and one of everything to put into them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from ministack.services import cloudwatch, lambda_svc, sqs

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT, REGION = "000000000000", "us-east-1"


@pytest.fixture(autouse=True)
def empty_stores() -> Iterator[None]:
    stores = [
        sqs._queues,
        sqs._queue_name_to_url,
        lambda_svc._functions,
        lambda_svc._esms,
        cloudwatch._metrics,
        cloudwatch._alarms,
        cloudwatch._alarm_history,
    ]
    with contextlib.ExitStack() as stack:
        for store in stores:
            store.clear()
            stack.callback(store.clear)
        yield


def make_queue(name: str, **attributes: str) -> dict[str, Any]:
    """Put a queue into the store, under the default account and Region."""
    url = sqs._queue_url_for_account(ACCOUNT, name)
    queue = {
        "name": name,
        "url": url,
        "is_fifo": False,
        "attributes": {"QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", **attributes},
        "messages": [],
    }
    sqs._queues.set_scoped(ACCOUNT, REGION, url, queue)
    sqs._queue_name_to_url.set_scoped(ACCOUNT, REGION, name, url)
    return queue


def arn(queue: dict[str, Any]) -> str:
    return str(queue["attributes"]["QueueArn"])


def make_message(body: str, *, sent_at: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"id-{body}",
        "body": body,
        "sent_at": sent_at,
        "visible_at": sent_at,
        "receive_count": 0,
        "receipt_handle": None,
        **fields,
    }


def make_mapping(queue: dict[str, Any], function: str, **settings: Any) -> dict[str, Any]:
    """Put a function and a mapping of the queue to it into the stores."""
    function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
    config = {"FunctionName": function, "FunctionArn": function_arn, "Timeout": 3, "Role": "r"}
    lambda_svc._functions.set_scoped(
        ACCOUNT, REGION, function, {"config": config, "versions": {}, "aliases": {}}
    )
    mapping = {
        "UUID": f"mapping-{queue['name']}",
        "EventSourceArn": arn(queue),
        "FunctionName": function,
        "FunctionArn": function_arn,
        "Qualifier": None,
        "Enabled": True,
        "BatchSize": 10,
        "FunctionResponseTypes": [],
        **settings,
    }
    lambda_svc._esms.set_scoped(ACCOUNT, REGION, mapping["UUID"], mapping)
    return mapping
