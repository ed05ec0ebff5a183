"""The Runtime API, spoken with one process: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

There is no server and no thread: whoever invokes the function waits on this process's sockets
himself, for what it says, what it writes to its log, and its end. Between invocations nobody
listens, and the process waits, as a frozen one does on AWS.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imgpipe.local.lambda_runtime import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "/2018-06-01/runtime/"
_CHUNK = 1 << 18
_ACCEPTED = wire.answer(202, b'{"status":"OK"}\n', {"Content-Type": "application/json"})

Kind = Literal["next", "response", "error", "init-error", "ended", "log"]


@dataclass(frozen=True, slots=True)
class Said:
    """What the process did: asked for work, answered, failed, wrote to its log, or ended."""

    kind: Kind
    body: bytes = b""
    request_id: str = ""
    error_type: str = ""


class Exchange:
    """The sockets shared with one process. Not for two threads at once."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._readers: dict[socket.socket, wire.Reader] = {}
        self._asking: socket.socket | None = None
        self._log = -1
        self._process = -1

    @property
    def address(self) -> str:
        """AWS_LAMBDA_RUNTIME_API."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def watch(self, log: int, process: int | None) -> None:
        """Take over the reading end of the process's log, and a descriptor that tells its end."""
        os.set_blocking(log, False)
        self._log = log
        self._selector.register(log, selectors.EVENT_READ)
        if process is not None:
            self._process = process
            self._selector.register(process, selectors.EVENT_READ)

    @property
    def is_asking(self) -> bool:
        """Whether the process waits for an invocation."""
        return self._asking is not None

    def give(self, payload: bytes, headers: dict[str, str]) -> None:
        """Answer the process that asks for work."""
        asking, self._asking = self._asking, None
        if asking is None:
            raise RuntimeError("the process isn't asking for an invocation")
        _send(asking, wire.answer(200, payload, headers))

    def wait(self, timeout_s: float) -> Iterator[Said]:
        """Yield what happens within `timeout_s`, at once when something does."""
        for key, _ in self._selector.select(timeout_s):
            if key.fd == self._log:
                yield from self.read_log()
            elif key.fd == self._process:
                self._selector.unregister(self._process)
                yield Said("ended")
            elif key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.fileobj, socket.socket):
                yield from self._read(key.fileobj)

    def read_log(self) -> Iterator[Said]:
        """Yield what is in the log's pipe now."""
        if self._log < 0:
            return
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._log, _CHUNK):
                yield Said("log", data)
            # The end: every process that could write to it is gone.
            self._selector.unregister(self._log)
            os.close(self._log)
            self._log = -1

    def close(self) -> None:
        self._selector.close()
        self._listener.close()
        for connection in self._readers:
            connection.close()
        for descriptor in (self._log, self._process):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._process = -1

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._readers[connection] = wire.Reader()
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> Iterator[Said]:
        try:
            data = connection.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._forget(connection)
            return
        request, at_once = self._readers[connection].feed(data)
        if at_once:
            _send(connection, at_once)
        if request is not None and (said := self._understand(connection, request)):
            yield said

    def _forget(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._readers[connection]
        connection.close()
        if self._asking is connection:
            self._asking = None

    def _understand(self, connection: socket.socket, request: wire.Request) -> Said | None:
        if _is_strange(request, self.address):
            _send(connection, wire.answer(403))
            return None
        error_type = request.headers.get("lambda-runtime-function-error-type", "")
        match request.method, request.path.removeprefix(PREFIX).split("/"):
            case "GET", ["invocation", "next"]:
                self._asking = connection
                return Said("next")
            case "POST", ["invocation", request_id, "response"]:
                _send(connection, _ACCEPTED)
                return Said("response", request.body, request_id)
            case "POST", ["invocation", request_id, "error"]:
                _send(connection, _ACCEPTED)
                return Said("error", request.body, request_id, error_type or "Unhandled")
            case "POST", ["init", "error"]:
                _send(connection, _ACCEPTED)
                return Said("init-error", request.body, "", error_type or "Runtime.Unknown")
            case _:
                _send(connection, wire.answer(404))
                return None


def _is_strange(request: wire.Request, address: str) -> bool:
    """Whether it comes from a browser: a web page can reach any port of this machine."""
    names = request.headers
    return names.get("host") != address or "origin" in names or "sec-fetch-site" in names


def _send(connection: socket.socket, data: bytes) -> None:
    """Send all of it. A process that died meanwhile is noticed elsewhere."""
    connection.setblocking(True)
    with contextlib.suppress(ConnectionError):
        connection.sendall(data)
    connection.setblocking(False)
