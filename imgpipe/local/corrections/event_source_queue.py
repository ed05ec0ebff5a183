"""A mapped queue as the poller sees it at one moment: when its next batch is due, and how large it
is.

Faults of stock ministack: a batch has at most ten messages, and a batching window is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imgpipe.local.corrections import event_source_batch as batches


@dataclass(slots=True)
class Source:
    """A mapping that may take messages now: its queue, its function and how much it may run."""

    mapping: dict[str, Any]
    queue: dict[str, Any]
    function: Any
    account: str
    region: str
    places: int
    visible: list[dict[str, Any]]
    next_visible: float | None

    @property
    def uuid(self) -> str:
        return str(self.mapping["UUID"])

    @property
    def batch_size(self) -> int:
        return int(self.mapping.get("BatchSize") or 10)

    @property
    def window_s(self) -> int:
        return int(self.mapping.get("MaximumBatchingWindowInSeconds") or 0)

    def due(self) -> float | None:
        """Return when the next batch is to leave; None while there is no message for it."""
        if not self.visible:
            return None
        full = len(self.visible) >= self.batch_size
        if full or not self.window_s or self._is_heavy():
            return 0.0
        return float(min(each["visible_at"] for each in self.visible)) + self.window_s

    def _is_heavy(self) -> bool:
        return batches.fitting(self.visible, len(self.visible)) < len(self.visible)

    def share(self, places: int) -> int:
        """Return how many messages the next batch takes, when so many places are free for this
        mapping.
        """
        most = self.batch_size
        if not self.window_s:
            most = min(most, -(-len(self.visible) // max(1, places)))
        return batches.fitting(self.visible, most)
