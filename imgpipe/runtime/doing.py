"""Whose code is at work just now, so that whoever finds this process dead can say whose it was.

A filter of a project's own that hangs or kills its process can't tell so itself, and the picture isn't
to blame. The guarded child passes what is said here on; where there is none, nothing happens.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _nobody(_: str) -> None:
    """Hear nothing."""


_hears: list[Callable[[str], None]] = [_nobody]


def told_to(hear: Callable[[str], None]) -> None:
    """Let `hear` know from now on: a filter's name when it begins, nothing when it ends."""
    _hears[:] = [hear]


@contextmanager
def own_filter(name: str) -> Iterator[None]:
    """Say that within this the project's own filter `name` is at work."""
    _hears[0](name)
    try:
        yield
    finally:
        _hears[0]("")
