"""The one bell: whoever puts work into a source of events rings it, and everyone who listens
hears.

Fault of stock ministack: its bell is one `threading.Event` that its poller clears. It has room for
one listener; a second one that clears it takes the first one's wake-ups away. Here
`esm_wake.set()`, which every producer calls, calls each listener, and nothing is ever cleared: a
listener notes for itself that it has something to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ministack.core.concurrency import esm_wake

if TYPE_CHECKING:
    from collections.abc import Callable

_listeners: list[Callable[[], None]] = []


def listen(call: Callable[[], None]) -> None:
    """Have `call` run at each ring, in the ringing thread. It must be quick and safe in any
    thread.
    """
    _listeners.append(call)


def ring() -> None:
    esm_wake.set()


def install() -> None:
    if "set" in vars(esm_wake):
        return
    stock = esm_wake.set

    def set_and_tell() -> None:
        stock()
        for call in _listeners:
            call()

    esm_wake.set = set_and_tell
