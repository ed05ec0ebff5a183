"""Plain HTTP, as a browser speaks it: presigned requests, forms, functions behind a URL."""

from __future__ import annotations

import http.client
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    body: bytes
    headers: dict[str, str]


def ask(
    method: str,
    url: str,
    body: bytes = b"",
    *,
    connect_to: str | None = None,
    **headers: str,
) -> Page:
    """Send a request. `connect_to` is the endpoint that serves a host name which nobody
    resolves.
    """
    asked = urlsplit(url)
    reached = urlsplit(connect_to or url)
    connection = http.client.HTTPConnection(reached.hostname or "", reached.port, timeout=20)
    path = (asked.path or "/") + (f"?{asked.query}" if asked.query else "")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, {"Host": asked.netloc, **sent})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Page(answer.status, answer.read(), found)
    finally:
        connection.close()


def post_form(url: str, fields: dict[str, str], content: bytes, name: str = "f.bin") -> Page:
    """Post a form with a file, as the presigned form says."""
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    ]
    parts.append(
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + content + f"\r\n--{mark}--\r\n".encode()
    return ask("POST", url, body, Content_Type=f"multipart/form-data; boundary={mark}")
