"""Durability: what the embedded cloud has answered with 2xx is on disk, whole, before the answer leaves.

`store` keeps entries; `answers` holds each answer until its changes are committed; the other modules put the state of
one service each into entries and back. A server has one journal, opened by the first `current()`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from imgpipe.local.journal.store import Journal, JournalError

__all__ = ["Journal", "JournalError", "current", "folder", "serving", "when_serving"]

_when_serving: list[Callable[[], None]] = []


def folder() -> Path:
    """Return where the state lives: ministack's own STATE_DIR, which the server sets."""
    return Path(os.environ["STATE_DIR"])


@cache
def current() -> Journal:
    """Return this process's journal; the first call opens it."""
    return Journal(folder() / "journal.db")


def when_serving(call: Callable[[], None]) -> None:
    """Have `call` run when the state is restored and the endpoint answers."""
    _when_serving.append(call)


def serving() -> None:
    while _when_serving:
        _when_serving.pop(0)()
