"""Who gets the next free place: takes batches from the queues of all mappings and has their
functions run.

Faults of stock ministack: one thread polls every source in turn and runs stream functions itself,
so a slow one holds up the queues; a batch has at most ten messages; the batching window is
ignored; every mapping takes up to five batches out of its queue, wherever they may then wait while
their visibility runs out; a throttle costs a receive.

The poller lives on the event loop, as SQS's own handlers do, so a batch is chosen and taken
without a lock, between two requests. It looks when the bell rings (`wake`), when a batch is done,
when a message becomes visible, and, whatever happens, once a second: no wake-up that gets lost
costs more. Looking means: while there is a free place, the mapping with the fewest running batches
gets it. A batch runs in a thread of its own, and its end is dealt with on the loop.

Messages of a mapping with a window stay in the queue, visible, until the batch is full or the
first has waited for the window: what isn't running can't time out. Without a window the waiting
messages are spread over the free places.

What was once taken for a lost wake-up (messages untouched for their visibility timeout after a
cold start) was a batch that failed inside the Lambda runtime, where two first environments
prepared one shared folder. So an invocation that fails on our side, and not on the function's,
gives its messages back at once.

Stock ministack asks nobody whether the function's role may read the queue. On AWS the poller acts with that
role: without leave to receive it takes nothing, without leave to delete what is done comes again, and the
mapping says so."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import lambda_svc, sqs

from imgpipe.local.corrections import event_source_batch as batches
from imgpipe.local.corrections import event_source_rules as rules
from imgpipe.local.corrections import permissions, sqs_messages
from imgpipe.local.corrections.event_source_queue import Source

if TYPE_CHECKING:
    import asyncio
import contextlib

log = logging.getLogger("event-source")

TICK_S = 1.0
"""The longest that the poller sleeps."""
TO_POLL = ("ReceiveMessage", "GetQueueAttributes")
NOTHING_YET = "No records processed"
"""What Lambda says of a mapping whose queue it may read and has found empty."""
GIVE_BACK_S = 1.0
"""How long a message waits that was given back."""

Invoke = Callable[[Any, Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that were taken for one invocation."""

    mapping: dict[str, Any]
    queue: dict[str, Any]
    function: Any
    account: str
    region: str
    messages: list[dict[str, Any]]
    event: dict[str, Any]


class Poller:
    """Takes batches while `places` allows, and has `invoke` run them. All but `ask` on the event
    loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        invoke: Invoke,
        places: Callable[[], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._loop, self._invoke, self._places, self._clock = loop, invoke, places, clock
        self._running: Counter[str] = Counter()
        self._asked = False
        self._timer: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Have the poller look soon. Safe in any thread."""
        if not self._asked:
            self._asked = True
            self._soon(self._look)

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the journal has the messages
            self._loop.call_soon_threadsafe(call, *arguments)

    def running(self) -> int:
        return self._running.total()

    def _look(self) -> None:
        self._asked = False
        if self._timer is not None:
            self._timer.cancel()
        delay = TICK_S
        try:
            delay = self._fill_places(self._clock())
        except Exception:
            log.exception("event source mappings could not be served; trying again")
        self._timer = self._loop.call_later(delay, self._look)

    def _fill_places(self, now: float) -> float:
        """Start what can start; return after how many seconds to look again."""
        free = self._places() - self._running.total()
        if free <= 0:
            return TICK_S
        found = list(self._sources(now))
        while free > 0 and (ready := self._ready(found, now)):
            source = min(ready, key=lambda each: self._running[each.uuid])
            free -= self._start(source, min(source.places, max(1, free // len(ready))), now)
        return _pause(found, now)

    def _ready(self, found: list[Source], now: float) -> list[Source]:
        return [
            each
            for each in found
            if each.places > 0 and (due := each.due()) is not None and due <= now
        ]

    def _sources(self, now: float) -> Iterator[Source]:
        for account, region, mapping in lambda_svc._iter_all_esms():
            if ":sqs:" not in mapping.get("EventSourceArn", "") or not mapping.get("Enabled", True):
                continue
            with request_scope(account, region):
                source = self._source(account, region, mapping, now)
            if source is not None:
                yield source

    def _source(self, account: str, region: str, mapping: Any, now: float) -> Source | None:
        queue = sqs._queue_by_arn(mapping["EventSourceArn"])
        function, config = lambda_svc._get_func_record_for_qualifier(
            mapping["FunctionName"], mapping.get("Qualifier")
        )
        if queue is None or function is None or not _may(mapping, queue, config["Role"], *TO_POLL):
            return None
        places = self._free_places(mapping, queue, function, config)
        if places <= 0:
            return None
        visible, next_visible = sqs_messages.survey(queue, now)
        exact = lambda_svc._execution_record_for_config(
            function, {**config, "FunctionArn": mapping["FunctionArn"]}
        )
        return Source(mapping, queue, exact, account, region, places, visible, next_visible)

    def _free_places(self, mapping: Any, queue: Any, function: Any, config: Any) -> int:
        """Return how many more batches the mapping may run, by its own limit and the function's."""
        limit = lambda_svc._sqs_esm_concurrency(mapping, function, config, queue)
        free = int(limit) - self._running[mapping["UUID"]]
        reserved = lambda_svc._reserved_concurrency(function, config)
        if reserved is None:
            return free
        busy = lambda_svc._inflight.get(lambda_svc._inflight_key(config), 0)
        return min(free, int(reserved) - int(busy))

    def _start(self, source: Source, places: int, now: float) -> bool:
        """Take a batch and run it; return whether anything of it passed the filters."""
        taken = _receive(source, source.share(places), now)
        source.visible = source.visible[len(taken) :] if taken else []
        arn = source.mapping["EventSourceArn"]
        records = [batches.record(message, arn) for message in taken]
        keep = batches.wanted(records, source.mapping)
        if len(keep) < len(taken):
            _delete(source.queue, [each for each in taken if each["id"] not in keep])
        if not keep:
            return False
        source.places -= 1
        batch = Batch(
            source.mapping,
            source.queue,
            source.function,
            source.account,
            source.region,
            [message for message in taken if message["id"] in keep],
            {"Records": [each for each in records if each["messageId"] in keep]},
        )
        self._running[source.uuid] += 1
        threading.Thread(target=self._run, args=(batch,), name="event-source", daemon=True).start()
        return True

    def _run(self, batch: Batch) -> None:
        """In a thread: invoke, and hand the result to the loop."""
        result: dict[str, Any] | None = None
        try:
            with request_scope(batch.account, batch.region):
                result = self._invoke(batch.function, batch.event)
        except Exception:
            log.exception("a batch of %s could not run", batch.mapping["FunctionName"])
        self._soon(self._end, batch, result)

    def _end(self, batch: Batch, result: dict[str, Any] | None) -> None:
        self._running[batch.mapping["UUID"]] -= 1
        settle(batch, result, self._clock())
        self._look()


def _may(mapping: dict[str, Any], queue: dict[str, Any], role: str, *actions: str) -> bool:
    """Return whether the role allows the actions on the queue. If not, the mapping tells which it lacks."""
    arn, policy = mapping["EventSourceArn"], queue["attributes"].get("Policy")
    for action in actions:
        denied = f"PROBLEM: {rules.may_not(action).message}"
        if not permissions.allow(role, f"sqs:{action}", arn, policy):
            mapping["LastProcessingResult"] = denied
            return False
        if mapping.get("LastProcessingResult") == denied:
            mapping["LastProcessingResult"] = NOTHING_YET
    return True


def _pause(found: list[Source], now: float) -> float:
    """Return how long nothing can become due, but never more than a tick."""
    moments = [each.next_visible for each in found if each.next_visible is not None]
    moments += [due for each in found if each.places > 0 and (due := each.due())]
    return max(0.001, min([TICK_S, *(moment - now for moment in moments if moment > now)]))


def _receive(source: Source, most: int, now: float) -> list[dict[str, Any]]:
    visibility = int(source.queue["attributes"].get("VisibilityTimeout") or 30)
    if source.queue["is_fifo"]:
        return sqs_messages.take_fifo(source.queue, most, visibility, now)
    return sqs_messages.take(source.queue, most, visibility, now)


def _delete(queue: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    sqs_messages.delete(queue, {message["receipt_handle"] for message in messages})


def settle(batch: Batch, result: dict[str, Any] | None, now: float) -> None:
    """Delete what is done, leave what failed to its visibility timeout, give back what never
    ran.
    """
    if result is None or result.get("throttle"):
        for message in batch.messages:
            sqs_messages.give_back(message, now + GIVE_BACK_S)
        batch.mapping["LastProcessingResult"] = "PROBLEM: Function call was throttled"
        return
    if result.get("error"):
        batch.mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
        return
    bad = batches.failed(
        result.get("body"),
        (message["id"] for message in batch.messages),
        batch.mapping.get("FunctionResponseTypes") or (),
    )
    if _may(batch.mapping, batch.queue, batch.function["config"]["Role"], "DeleteMessage"):
        _delete(batch.queue, [message for message in batch.messages if message["id"] not in bad])
        batch.mapping["LastProcessingResult"] = "OK"
