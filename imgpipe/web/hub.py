"""One watcher for all browsers: it asks while somebody looks, and sends each change to everybody.

A browser that reads too slowly loses its connection rather than fill our memory; it comes back by itself and asks for
what it missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from imgpipe.cloud import explain
from imgpipe.errors import ImgpipeError
from imgpipe.operate.catalogue import Catalogue
from imgpipe.operate.live import Live
from imgpipe.operate.pulse import pulse
from imgpipe.web import show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

LOG = logging.getLogger("uvicorn.error")
BUSY_S, IDLE_S, TROUBLED_S = 0.6, 2.0, 4.0
SHARE = 2.0
PULSE_EVERY_S = 2.0
BEHIND = 500
"""Events that a browser may be behind."""


DISCREETLY = ("The pictures can't be shown now", "It is tried again every few seconds.", "")
"""What customers hear, who can't mend it."""


class Hub:
    """`render` turns a row into what a browser is sent. `present` returns the project as it is declared now.
    `discreet`: errors are told without their texts.
    """

    def __init__(
        self,
        project: Project,
        render: Callable[[Row], dict[str, Any]],
        present: Callable[[], Project],
        *,
        discreet: bool = False,
    ) -> None:
        self._render, self._present = render, present
        self._discreet = discreet
        self._live = Live(project)
        self.catalogue = Catalogue(project)
        self._reading: asyncio.Task[None] | None = None
        self._queues: dict[asyncio.Queue[dict[str, str] | None], bool] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._expected: list[str] = []
        self._wake = asyncio.Event()
        self._ending = False
        self._trouble: dict[str, str] = {}

    def expect(self, key: str) -> None:
        """Ask for an image that is being uploaded. May be called from any thread."""
        self._expected.append(key)

    def gone(self, key: str) -> None:
        """Tell every page that nothing is left of an image. May be called from any thread."""
        self.catalogue.forget(key)
        if self._loop:
            self._loop.call_soon_threadsafe(self._send, "gone", {"key": key})

    async def events(self, *, desk: bool) -> AsyncIterator[dict[str, str]]:
        """Yield events for one browser; with the pipeline's pulse for a desk."""
        queue: asyncio.Queue[dict[str, str] | None] = asyncio.Queue(BEHIND)
        self._loop = asyncio.get_running_loop()
        self._queues[queue] = desk
        if self._trouble:
            queue.put_nowait({"event": "trouble", "data": json.dumps(self._trouble)})
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        self._wake.set()
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._queues.pop(queue, None)
            if not self._queues:
                self.catalogue.hear_no_more()

    def close(self) -> None:
        """End every browser's stream. Belongs to the loop's own thread."""
        self._ending = True
        self._wake.set()
        for queue in list(self._queues):
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)

    async def end(self) -> None:
        self.close()
        if self._task:
            self._task.cancel()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        pulsed = 0.0
        while self._queues and not self._ending:
            began = loop.time()
            try:
                await self._look()
                if any(self._queues.values()) and began - pulsed > PULSE_EVERY_S:
                    pulsed = began
                    found = await run_in_threadpool(pulse, await run_in_threadpool(self._present))
                    letters = dict(found.sample.letters)
                    self._send("pulse", {**found.as_json(), "letters": letters}, desk=True)
                self._well()
                pause = BUSY_S if self._live.busy or self._expected else IDLE_S
                # A slow answer is a sign of load: we take a part of it at most.
                pause = max(pause, SHARE * (loop.time() - began))
            except Exception as error:  # noqa: BLE001 - whatever it is, open pages must hear of it
                self._ill(explain(error, "the pipeline"))
                pause = TROUBLED_S
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    def _well(self) -> None:
        if self._trouble:
            self._trouble = {}
            LOG.warning("the cloud answers again")
        self._send("well", {})

    def _ill(self, error: ImgpipeError) -> None:
        """Tell every page, and the terminal once."""
        if not self._trouble:
            LOG.warning("%s", error)
        told = DISCREETLY if self._discreet else (error.what, error.why, error.hint)
        what, why, hint = told
        self._trouble = {"what": what, "why": why, **show.hinted(hint)}
        self._send("trouble", self._trouble)

    async def _look(self) -> None:
        """Tell of what changed; and see to it that the catalogue is read in time."""
        while self._expected:
            self._live.expect(self._expected.pop())
        changed = await run_in_threadpool(self._live.changes)
        self.catalogue.note(changed)
        if self._live.flooded:
            self.catalogue.mistrust()
        for row in changed:
            self._send("image", self._render(row))
        if self.catalogue.take_turn():
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(ImgpipeError):  # the watcher meets the same, and tells of it
            await run_in_threadpool(self.catalogue.read)

    def _send(self, event: str, data: dict[str, Any], *, desk: bool = False) -> None:
        message = {"event": event, "data": json.dumps(data)}
        for queue, for_desk in list(self._queues.items()):
            if desk and not for_desk:
                continue
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self._queues.pop(queue, None)
                queue.get_nowait()
                queue.put_nowait(None)
