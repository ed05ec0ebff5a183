"""A dict that tells which of its keys were set or taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Noting(dict[Any, Any]):
    """Calls `note(key)` after every change. Restoring goes around it, by dict's own methods."""

    def __init__(self, note: Callable[[Any], None], content: dict[Any, Any]) -> None:
        super().__init__(content)
        self._note = note

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._note(key)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._note(key)

    def pop(self, key: Any, *default: Any) -> Any:
        found = key in self
        value = super().pop(key, *default)
        if found:
            self._note(key)
        return value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Whoever asks for a default is about to change it."""
        value = super().setdefault(key, default)
        self._note(key)
        return value
