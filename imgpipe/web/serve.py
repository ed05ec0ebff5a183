"""uvicorn on a socket that is already ours, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING

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
            f"{host}:{port}", error.strerror or str(error), hint="imgpipe web --port 0"
        ) from error
    listener.listen(128)
    return listener


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


def run(
    project: Project, listener: socket.socket, wanted: guard.Rules, ready: Callable[[], None]
) -> None:
    """Serve until told to stop."""
    import uvicorn

    from imgpipe.web.app import application

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    config = uvicorn.Config(
        application(project, wanted),
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    Server(config).run([listener])
