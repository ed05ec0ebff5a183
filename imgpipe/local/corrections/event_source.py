"""Event source mappings: our poller for queues, ministack's for streams, and AWS's checks.

ministack's polling thread is started only when there is a stream to poll: the pipelines of imgpipe
have none."""

from __future__ import annotations

import asyncio

from ministack.services import lambda_svc

from imgpipe.local import journal
from imgpipe.local.corrections import event_source_api, wake
from imgpipe.local.corrections.event_source_poller import Poller
from imgpipe.local.lambda_runtime.install import turns_here

_stock_ensure_poller = lambda_svc._ensure_poller


def places() -> int:
    """Return how many batches may be out at once: what Lambda runs here, and one that waits."""
    return turns_here() + 1


def _start() -> None:
    poller = Poller(asyncio.get_running_loop(), lambda_svc._execute_function, places)
    wake.listen(poller.ask)
    poller.ask()


def _ensure_stream_poller() -> None:
    mappings = lambda_svc._esms.all_values()
    if any(":sqs:" not in str(mapping.get("EventSourceArn")) for mapping in mappings):
        _stock_ensure_poller()


def install() -> None:
    event_source_api.install()
    lambda_svc._ensure_poller = _ensure_stream_poller
    lambda_svc._poll_sqs = lambda: False
    journal.when_serving(_start)
