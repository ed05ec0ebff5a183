"""Corrections to services that are rarely used wait until ministack loads the service.

Importing all of them would make every start of the embedded cloud a fifth slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack import app

if TYPE_CHECKING:
    from collections.abc import Callable

_waiting: dict[str, list[Callable[[Any], None]]] = {}


def when_loaded(name: str, correct: Callable[[Any], None]) -> None:
    """Have `correct` get the service's module when ministack first uses it."""
    _waiting.setdefault(name, []).append(correct)


_stock_get_module = app._get_module


def _get_module(name: str) -> Any:
    module = _stock_get_module(name)
    for correct in _waiting.pop(name, ()):
        correct(module)
    return module


def install() -> None:
    app._get_module = _get_module
