"""As much of HTTP/1.1 as the Runtime API takes: whole requests in, whole answers out."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

_END = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` have lower-case names."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reader:
    """Cuts what arrives on a connection into requests."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._continued = False

    def feed(self, data: bytes) -> tuple[Request | None, bytes]:
        """Take what arrived. Return the request, once it is whole, and what must be sent at once.

        A client sends its next request only after our answer, so there is never a second one.
        """
        self._seen += data
        head_end = self._seen.find(_END)
        if head_end < 0:
            return None, b""
        method, path, headers = _head(bytes(self._seen[:head_end]))
        body = _body(headers, self._seen, head_end + len(_END))
        if body is None:
            return None, self._invitation(headers)
        self._seen.clear()
        self._continued = False
        return Request(method, path, headers, body), b""

    def _invitation(self, headers: dict[str, str]) -> bytes:
        """curl waits a second for this before it sends a large body."""
        if self._continued or "expect" not in headers:
            return b""
        self._continued = True
        return _CONTINUE


def _head(text: bytes) -> tuple[str, str, dict[str, str]]:
    first, *rest = text.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in rest)
    return method, path, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _body(headers: dict[str, str], seen: bytearray, start: int) -> bytes | None:
    """Return the body, or None while some of it is missing."""
    if "chunked" in headers.get("transfer-encoding", ""):
        return _chunks(seen, start)
    size = int(headers.get("content-length", "0"))
    return bytes(seen[start : start + size]) if len(seen) >= start + size else None


def _chunks(seen: bytearray, position: int) -> bytes | None:
    body = bytearray()
    while (line_end := seen.find(b"\r\n", position)) >= 0:
        size = int(seen[position:line_end].split(b";")[0], 16)
        position = line_end + 2
        if len(seen) < position + size + 2:
            return None
        if size == 0:
            return bytes(body)
        body += seen[position : position + size]
        position += size + 2
    return None


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
