"""Asynchronous invocation, as S3, SNS and `InvocationType=Event` use it: accepted, kept, tried again, accounted for.

An accepted event is a journal entry until its function has succeeded or its destinations have been told, so a kill -9
in the middle of an invocation runs it again, under the same request id. Each function has its own line of waiting
events, and a worker takes from the line with the fewest running: one slow function doesn't stand in another's way.
How many Lambda environments there are is the Lambda runtime's business, not ours.

AWS waits one minute before the first retry and two before the second; here it is seconds, from IMGPIPE_ASYNC_RETRY_S.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc

from imgpipe.local import journal
from imgpipe.local.corrections import async_invoke_attempt as attempt

log = logging.getLogger("async")

KIND = "invocation"
MAX_WORKERS = 16
MAX_EVENT_BYTES = 1_048_576


def retry_s() -> float:
    return float(os.environ.get("IMGPIPE_ASYNC_RETRY_S", "2"))


@dataclass(slots=True, kw_only=True)
class Waiting:
    """An invocation and when to try it next. `attempts` counts those that reached the function."""

    invocation: attempt.Invocation
    due: float
    attempts: int = 0
    throttles: int = 0

    def encode(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Waiting:
        fields = json.loads(text)
        return cls(**{**fields, "invocation": attempt.Invocation(**fields["invocation"])})


Try = Callable[[attempt.Invocation, int], attempt.Outcome]
Conclude = Callable[[attempt.Invocation, attempt.Outcome, int, attempt.Condition], None]


class Invocations:
    """The events that were accepted and not finished, and the workers that try them."""

    def __init__(
        self,
        book: journal.Journal,
        try_: Try = attempt.run,
        *,
        conclude: Conclude = attempt.conclude,
        concurrency: Callable[[str], int] = attempt.concurrency,
    ) -> None:
        self._journal, self._try, self._conclude = book, try_, conclude
        self._concurrency = concurrency
        self._later: list[tuple[float, int, Waiting]] = []
        self._ready: dict[str, deque[Waiting]] = {}
        self._running: Counter[str] = Counter()
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._workers = self._idle = 0
        self._started = False

    def accept(self, invocation: attempt.Invocation) -> None:
        """Take responsibility for the event: it is marked for the journal, and run when its turn comes."""
        waiting = Waiting(invocation=invocation, due=time.time())
        self._keep(waiting)
        self._line_up(waiting)

    def start(self) -> None:
        """Take up what the journal holds from before, and begin to run. Call it when the endpoint serves."""
        for _, text in self._journal.load(KIND):
            waiting = Waiting.decode(text)
            waiting.due = min(waiting.due, time.time())
            self._line_up(waiting)
        with self._changed:
            self._started = True
            self._hire()
            self._changed.notify_all()

    def pending(self) -> int:
        with self._changed:
            return len(self._later) + sum(map(len, self._ready.values())) + self._running.total()

    def _keep(self, waiting: Waiting) -> None:
        self._journal.mark(KIND, waiting.invocation.id, waiting.encode)

    def _forget(self, waiting: Waiting) -> None:
        self._journal.mark(KIND, waiting.invocation.id, lambda: None)

    def _line_up(self, waiting: Waiting) -> None:
        with self._changed:
            heapq.heappush(self._later, (waiting.due, next(self._order), waiting))
            self._hire()
            self._changed.notify()

    def _hire(self) -> None:
        if self._started and self._later and not self._idle and self._workers < MAX_WORKERS:
            self._workers += 1
            threading.Thread(target=self._work, name="async-invoke", daemon=True).start()

    def _work(self) -> None:
        while True:
            waiting = self._take()
            function = waiting.invocation.function
            try:
                self._run(waiting)
            except Exception:
                log.exception("invocation %s of %s", waiting.invocation.id, function)
                self._again(waiting, retry_s())
            finally:
                with self._changed:
                    self._running[function] -= 1

    def _take(self) -> Waiting:
        with self._changed:
            while (waiting := self._next()) is None:
                self._idle += 1
                self._changed.wait(self._pause())
                self._idle -= 1
            self._hire()
            return waiting

    def _pause(self) -> float | None:
        return max(0.0, self._later[0][0] - time.time()) + 0.001 if self._later else None

    def _next(self) -> Waiting | None:
        now = time.time()
        while self._later and self._later[0][0] <= now:
            waiting = heapq.heappop(self._later)[2]
            self._ready.setdefault(waiting.invocation.function, deque()).append(waiting)
        free = [name for name in self._ready if self._running[name] < self._concurrency(name)]
        if not free:
            return None
        name = min(free, key=self._running.__getitem__)
        line = self._ready[name]
        waiting = line.popleft()
        if not line:
            del self._ready[name]
        self._running[name] += 1
        return waiting

    def _run(self, waiting: Waiting) -> None:
        outcome = self._try(waiting.invocation, waiting.attempts)
        if outcome.throttled:
            waiting.throttles += 1
            delay = min(retry_s() * 2 ** (waiting.throttles - 2), 15 * retry_s())
        else:
            waiting.attempts += 1
            delay = retry_s() * waiting.attempts
        condition = attempt.verdict(
            waiting.invocation, outcome, waiting.attempts, time.time() + delay
        )
        if condition is None:
            self._again(waiting, delay)
            return
        with self._journal.atomic():
            self._conclude(waiting.invocation, outcome, waiting.attempts, condition)
            self._forget(waiting)

    def _again(self, waiting: Waiting, delay: float) -> None:
        waiting.due = time.time() + delay
        self._keep(waiting)
        self._line_up(waiting)


@cache
def invocations() -> Invocations:
    """Return the server's own."""
    return Invocations(journal.current())


def _accept(function: Any, event: Any) -> None:
    config = function.get("config") or function
    invocations().accept(
        attempt.Invocation(
            id=lambda_svc.new_uuid(),
            function=config["FunctionArn"],
            event=event,
            accepted=time.time(),
            depth=lambda_svc._invoke_depth.get(0),
        )
    )


_stock_invoke = lambda_svc._invoke


async def _invoke(name: str, event: Any, headers: Any, *args: Any, **named: Any) -> Any:
    """Refuse an event that AWS would refuse for its size."""
    if str(headers.get("x-amz-invocation-type")) == "Event":
        size = len(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())
        if size > MAX_EVENT_BYTES:
            return error_response_json(
                "RequestTooLargeException",
                f"{size} byte payload is too large for the Event invocation type (limit {MAX_EVENT_BYTES} bytes)",
                413,
            )
    return await _stock_invoke(name, event, headers, *args, **named)


def install() -> None:
    lambda_svc.invoke_async_with_retry = _accept
    lambda_svc._invoke = _invoke
    journal.when_serving(lambda: invocations().start())
