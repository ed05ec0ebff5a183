"""HTTP for the server process: uvicorn on a socket of ours, until it is told to stop.

Not hypercorn, which ministack comes with: speaking HTTP in plain Python took 40 % of the server's
processor time with images flowing through. The loop's ticks are left out too: an idle server sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterator

KEEP_ALIVE_S = 75
GRACE_S = 1
LOOK_S = 5.0


def run(
    app: Callable[..., Awaitable[None]],
    listener: socket.socket,
    *,
    before_stop: Callable[[], None],
    is_wanted: Callable[[], bool],
) -> None:
    """Serve `app` on `listener` until a signal, or until `is_wanted` says no.

    `before_stop` is called once, while everything still answers.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="wsproto",
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Server(config, before_stop, is_wanted).serve(sockets=[listener]))


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, before_stop: Callable[[], None], is_wanted: Callable[[], bool]
    ) -> None:
        super().__init__(config)
        self._before_stop, self._is_wanted = before_stop, is_wanted
        self._stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while self._is_wanted() and not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_S)

    async def shutdown(self, sockets: Any = None) -> None:
        # Functions first: one that meets a closed door would fail, and that would count.
        self._before_stop()
        await super().shutdown(sockets)
