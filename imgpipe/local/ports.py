"""Which port a project's embedded cloud listens on: the same one as last time, if it is free.

The first choice is computed from the project's folder, below the range that the kernel hands out to
clients, so that two projects rarely want the same one and a restart finds its own free.
"""

from __future__ import annotations

import socket
import zlib
from typing import TYPE_CHECKING

from imgpipe.errors import ImgpipeError
from imgpipe.local.layout import Layout, read_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
FIRST, COUNT = 20_000, 10_000
TRIES = 20
BACKLOG = 512


def listen(layout: Layout, wanted: int | None = None) -> socket.socket:
    """Return a listening socket on loopback and remember its port.

    Raises ImgpipeError when `wanted` is taken.
    """
    if wanted:
        found = _bind(wanted)
        if found is None:
            raise ImgpipeError(
                f"port {wanted}",
                "another program listens there",
                hint="imgpipe local start, which finds a free one",
            )
    else:
        found = next(bound for port in _choices(layout) if (bound := _bind(port)) is not None)
    found.listen(BACKLOG)
    write_whole(layout.port, found.getsockname()[1])
    return found


def last(layout: Layout) -> int | None:
    """Return the port of the last start."""
    known = read_json(layout.port)
    return known if isinstance(known, int) else None


def _choices(layout: Layout) -> Iterator[int]:
    if known := last(layout):
        yield known
    start = zlib.crc32(str(layout.data).encode())
    for step in range(TRIES):
        yield FIRST + (start + step) % COUNT
    yield 0


def _bind(port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((LOOPBACK, port))
    except (OSError, OverflowError):
        listener.close()
        return None
    return listener
