"""Whose turn it is: at most so many invocations run at once; the others wait.

AWS would start an environment for each; on one machine that many processes only slow one another
down. A free turn goes to the function with the fewest running, and there to who came first, so one
busy function doesn't keep the others from working.

An invocation that waits for another, which it called, keeps its turn. So the called ones have turns
of their own, by depth: who waits, waits for somebody deeper, and the deepest wait for nobody.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turns:
    """`count` turns at each depth."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._lines: dict[int, _Line] = {}

    @contextlib.contextmanager
    def one(self, name: str, depth: int = 0) -> Iterator[None]:
        """Wait for a turn for the function `name` and hold it."""
        with self._lock:
            line = self._lines.setdefault(depth, _Line(self._count))
            turn = line.join(name)
        if turn is not None:
            turn.wait()
        try:
            yield
        finally:
            with self._lock:
                line.leave(name)

    def running(self) -> int:
        with self._lock:
            return sum(line.running.total() for line in self._lines.values())

    def waiting(self) -> int:
        with self._lock:
            return sum(len(who) for line in self._lines.values() for who in line.waiting.values())


class _Line:
    """Those who run and those who wait, at one depth. Guarded by the lock of `Turns`."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.running: Counter[str] = Counter()
        self.waiting: dict[str, deque[tuple[int, threading.Event]]] = {}
        self._order = itertools.count()

    def join(self, name: str) -> threading.Event | None:
        """Return None for a turn at once, else the event that it will come with."""
        if self.free:
            self.free -= 1
            self.running[name] += 1
            return None
        turn = threading.Event()
        self.waiting.setdefault(name, deque()).append((next(self._order), turn))
        return turn

    def leave(self, name: str) -> None:
        self.running[name] -= 1
        if not self.waiting:
            self.free += 1
            return
        chosen = min(self.waiting, key=lambda each: (self.running[each], self.waiting[each][0][0]))
        _, turn = self.waiting[chosen].popleft()
        if not self.waiting[chosen]:
            del self.waiting[chosen]
        self.running[chosen] += 1
        turn.set()
