"""The gate that every answer passes: what the request changed is committed first.

Commits run on the event loop and nowhere else. ministack's handlers run there too, without a pause between their first
and last change, so a commit never sees half a request; what other threads change together they change under
`Journal.atomic`. A commit is one SQLite transaction without an fsync, some 0.1 ms, which is less than handing it to
another thread and back would cost.

When the disk doesn't take a commit, requests that change something are refused with a 500 in their protocol's shape,
until a commit succeeds again; reads are answered all the while. A refused request may yet take effect, as with AWS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from imgpipe.local import disk, journal
from imgpipe.local.journal import refusal, requests
from imgpipe.local.journal.store import Journal, JournalError

log = logging.getLogger("journal")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKGROUND_COMMIT_S = 0.02
"""How long a change that no request waits for may stay in memory."""
RETRY_S = 1.0
FIRST_ERROR = 400
TROUBLE_HEADER = b"x-imgpipe-trouble"
"""On every answer while the disk is full, percent-encoded: so a client can say why things stand still."""
LOOK_AT_DISK_S = 1.0


class Durable:
    """An ASGI application whose answers wait for the journal."""

    def __init__(
        self, inner: App, book: Journal, changed: Callable[[requests.Request], None]
    ) -> None:
        self._inner, self._journal, self._changed = inner, book, changed
        self._trouble, self._looked_at = "", -LOOK_AT_DISK_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, self._when_started(send))
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    def _when_started(self, send: Send) -> Send:
        async def started(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._commit_in_the_background(asyncio.get_running_loop())
                asyncio.get_running_loop().call_later(BACKGROUND_COMMIT_S, journal.serving)
            await send(message)

        return started

    def _commit_in_the_background(self, loop: asyncio.AbstractEventLoop) -> None:
        def commit() -> None:
            try:
                self._journal.commit()
            except JournalError:
                log.exception(
                    "a change in the background could not be written; it is kept and tried again"
                )
                loop.call_later(RETRY_S, commit)

        def soon() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the last commit was made
                loop.call_soon_threadsafe(loop.call_later, BACKGROUND_COMMIT_S, commit)

        self._journal.on_mark = soon
        soon()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = requests.Request(scope)
        receive = await request.look_at_body(receive)
        gate = Gate(self, request, send)
        if self._journal.failing and request.changes() and not await gate.open():
            return
        await self._inner(scope, receive, gate.send)

    def trouble(self) -> str:
        """Return what is wrong with the disk, as of a moment ago."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_AT_DISK_S:
            self._trouble, self._looked_at = disk.trouble(self._journal.folder), now
        return self._trouble

    def refusal(self, error: JournalError) -> str:
        """Return the words for a change that the disk didn't take."""
        return disk.trouble(self._journal.folder, str(error)) or str(error)

    def commit(self, request: requests.Request, status: int) -> None:
        """Write what the request changed, if it succeeded at changing something, and what others did meanwhile."""
        if status < FIRST_ERROR:
            self._changed(request)
        self._journal.commit()


class Gate:
    """One request's way out. It holds back the head of the answer until the commit, and replaces it if that fails."""

    def __init__(self, durable: Durable, request: requests.Request, send: Send) -> None:
        self._durable, self._request, self._send = durable, request, send
        self._refused = False

    async def open(self) -> bool:
        """Try again what failed before. Refuses the request, untouched, when it fails still."""
        return await self._committed(FIRST_ERROR)

    async def send(self, message: Message) -> None:
        if self._refused:
            return
        if message["type"] != "http.response.start":
            await self._send(message)
        elif await self._committed(message["status"]):
            await self._send(self._with_trouble(message))

    def _with_trouble(self, message: Message) -> Message:
        trouble = self._durable.trouble()
        if not trouble:
            return message
        headers = [*message.get("headers", ()), (TROUBLE_HEADER, quote(trouble).encode())]
        return {**message, "headers": headers}

    async def _committed(self, status: int) -> bool:
        try:
            self._durable.commit(self._request, status)
        except JournalError as error:
            log.error("%s", error)  # noqa: TRY400 - once a request; the traceback adds nothing
            if self._request.changes():
                self._refused = True
                head, *rest = refusal.messages(self._request, self._durable.refusal(error))
                for part in (self._with_trouble(head), *rest):
                    await self._send(part)
                return False
        return True
