"""uvicorn on a socket that is already ours, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote

from imgpipe.cloud import explain
from imgpipe.errors import UsageError
from imgpipe.operate.upload import presign
from imgpipe.web import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imgpipe.operate.project import Project

GRACE_S = 2


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises UsageError where that can't be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{host}:{port}", error.strerror or str(error), hint=_way_out(error)
        ) from error
    listener.listen(128)
    return listener


def _way_out(error: OSError) -> str:
    """Return what helps: another port where it is the port, or else another address."""
    if error.errno in {errno.EADDRINUSE, errno.EACCES}:
        return "imgpipe web --port 0"
    return "--host takes an address of this machine; without it, imgpipe web listens on 127.0.0.1"


def here(host: str) -> str:
    """Return the address under which this machine reaches what listens on `host`, which may be all there are."""
    try:
        every = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    return ("::1" if ":" in host else "127.0.0.1") if every else host


def link(host: str, listener: socket.socket, wanted: guard.Rules) -> str:
    """Return the address to open, with the token where one is asked for."""
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}/"
    return f"{address}?token={quote(wanted.token)}" if wanted.token else address


def rules(
    project: Project, host: str, *, read_only: bool, names: Iterable[str], token: str | None
) -> guard.Rules:
    """Return who may ask: on loopback whoever is at this machine, elsewhere who has the token."""
    asked = token or (None if guard.is_loopback(host) else secrets.token_urlsafe(24))
    own = {socket.gethostname(), socket.getfqdn(), *names} if asked else set(names)
    return guard.Rules(
        token=asked,
        read_only=read_only,
        names=frozenset(name.lower() for name in own),
        uploads_to="" if read_only else presign.origin(project),
    )


class Plainly(logging.Filter):
    """A line for each thing that went wrong, and none for what was cut off because we end."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):
            return False
        if error:
            record.msg, record.args = "%s: %s", (type(error).__name__, explain(error, "a request"))
            record.exc_info = None
        return not record.getMessage().startswith("Cancel ")


def run(
    project: Project,
    listener: socket.socket,
    wanted: guard.Rules,
    ready: Callable[[], None],
    reopen: Callable[[], Project],
) -> None:
    """Serve until told to stop. `reopen` reads the project's declaration anew."""
    import uvicorn

    from imgpipe.web.app import application

    app, close = application(project, wanted, reopen)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            close()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    logging.getLogger("uvicorn.error").addFilter(Plainly())
    Server(config).run([listener])
