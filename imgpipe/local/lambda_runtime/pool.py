"""All environments of a server: which one serves an invocation, and how long an idle one is kept."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imgpipe.local.lambda_runtime.environment import Environment
    from imgpipe.local.lambda_runtime.function import Function, Invocation, Outcome
    from imgpipe.local.lambda_runtime.turns import Turns

IDLE_S = 300.0
IDLE_MAX = 24
PARKED_S = 10.0


class ClosedError(Exception):
    """The server stops: the invocation came to no end that anybody may count."""


class Pool:
    """`make` makes an environment; it starts with its first invocation."""

    def __init__(
        self,
        make: Callable[[Function], Environment],
        turns: Turns,
        *,
        idle_s: float = IDLE_S,
        idle_max: int = IDLE_MAX,
        parked_s: float = PARKED_S,
    ) -> None:
        self._make, self._turns = make, turns
        self._idle_s, self._idle_max, self._parked_s = idle_s, idle_max, parked_s
        self._lock = threading.Lock()
        self._idle: list[Environment] = []
        """The latest used last."""
        self._busy: set[Environment] = set()
        self._outdated: set[Environment] = set()
        self._timer: threading.Timer | None = None
        self._closed = False

    def run(self, function: Function, invocation: Invocation, *, depth: int = 0) -> Outcome:
        """Run the function once, in a warm environment if there is one, when its turn comes.

        `depth` says how many invocations wait for this one.
        """
        with self._turns.one(function.arn, depth):
            environment = self._take(function)
            try:
                outcome = environment.invoke(invocation)
            finally:
                self._put_back(environment)
            if self._closed:
                self._park()
            return outcome

    def drop(self, arn: str, version: str | None = None) -> None:
        """Let no environment of the function serve again: it changed, or is gone."""

        def concerns(environment: Environment) -> bool:
            function = environment.function
            return function.arn == arn and version in (None, function.version)

        with self._lock:
            doomed = [each for each in self._idle if concerns(each)]
            self._idle = [each for each in self._idle if not concerns(each)]
            self._outdated |= {each for each in self._busy if concerns(each)}
        _close(doomed)

    def warm(self) -> dict[str, int]:
        """Return how many environments each function has."""
        with self._lock:
            names = [each.function.name for each in (*self._idle, *self._busy)]
        return dict(Counter(names))

    def close(self) -> None:
        """Kill every environment. What they were doing is as if the server had been killed."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            if self._timer is not None:
                self._timer.cancel()
        for environment in busy:
            environment.kill()
        _close(idle)

    def _park(self) -> None:
        """Keep a killed invocation from ending: it would count as failed, and be saved as such."""
        threading.Event().wait(self._parked_s)
        raise ClosedError("the server is stopping")

    def _take(self, function: Function) -> Environment:
        """Return the environment of this very function that was used last, or a new one."""
        if self._closed:
            self._park()
        with self._lock:
            dead = [each for each in self._idle if not each.is_alive()]
            self._idle = [each for each in self._idle if each not in dead]
            fit = [each for each in self._idle if each.function == function]
            if fit:
                self._idle.remove(fit[-1])
                self._busy.add(fit[-1])
        _close(dead)
        if fit:
            return fit[-1]
        made = self._make(function)
        with self._lock:
            self._busy.add(made)
        return made

    def _put_back(self, environment: Environment) -> None:
        environment.idle_since = time.monotonic()
        with self._lock:
            self._busy.discard(environment)
            fresh = environment not in self._outdated and not self._closed
            self._outdated.discard(environment)
            doomed: list[Environment] = []
            if fresh and environment.is_alive():
                self._idle.append(environment)
                doomed, self._idle = self._surplus()
                self._look_later()
            else:
                doomed.append(environment)
        _close(doomed)

    def _surplus(self) -> tuple[list[Environment], list[Environment]]:
        over = max(0, len(self._idle) - self._idle_max)
        return self._idle[:over], self._idle[over:]

    def _look_later(self) -> None:
        if self._timer is None and self._idle:
            wait = max(0.0, self._idle[0].idle_since + self._idle_s - time.monotonic())
            self._timer = threading.Timer(wait, self._close_idle)
            self._timer.daemon = True
            self._timer.start()

    def _close_idle(self) -> None:
        with self._lock:
            self._timer = None
            limit = time.monotonic() - self._idle_s
            doomed = [each for each in self._idle if each.idle_since <= limit]
            self._idle = [each for each in self._idle if each.idle_since > limit]
            self._look_later()
        _close(doomed)


def _close(environments: Iterable[Environment]) -> None:
    for environment in environments:
        environment.close()
