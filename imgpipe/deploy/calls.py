"""How many calls a run made, by operation: for `up`'s last line, the benchmarks, and the test that a second `up`
changes nothing. Retries of one call count once."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

READING = ("Get", "List", "Describe", "Head")


class Calls:
    """Counts the calls of every client that is made from `session` after `watch`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.by_operation: Counter[str] = Counter()

    def watch(self, session: Any) -> None:
        session.events.register("before-call", self._count)

    @property
    def total(self) -> int:
        return self.by_operation.total()

    @property
    def mutating(self) -> Counter[str]:
        """Return the calls that may change something."""
        return Counter(
            {name: count for name, count in self.by_operation.items() if not _reads(name)}
        )

    def _count(self, model: Any, **_: Any) -> None:
        with self._lock:
            self.by_operation[f"{model.service_model.service_name}:{model.name}"] += 1


def _reads(operation: str) -> bool:
    return operation.partition(":")[2].startswith(READING)
