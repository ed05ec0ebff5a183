"""A console without a browser: requests to its application, as an ASGI server hands them on."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from imgpipe.web.app import application
from imgpipe.web.guard import Rules

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

HOST = "127.0.0.1:8642"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Console:
    """The console of a project. Its streams of events aren't asked for."""

    project: Project
    read_only: bool = False

    def __post_init__(self) -> None:
        rules = Rules(token=None, read_only=self.read_only)
        self._app, _ = application(self.project, rules, lambda: self.project)

    def get(self, path: str, **query: str) -> Answer:
        return asyncio.run(self._ask("GET", path, query, b""))

    def post(self, path: str, data: Any = None, **query: str) -> Answer:
        body = b"" if data is None else json.dumps(data).encode()
        return asyncio.run(self._ask("POST", path, query, body))

    async def _ask(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        told: list[Any] = []
        asked = [{"type": "http.request", "body": body, "more_body": False}]

        async def send(message: Any) -> None:
            told.append(message)

        async def receive() -> Any:
            return asked.pop() if asked else await asyncio.Event().wait()

        ours = {"host": HOST, "origin": f"http://{HOST}", "hx-request": "true"}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": urlencode(query).encode(),
            "headers": [(name.encode(), value.encode()) for name, value in ours.items()],
            "server": ("127.0.0.1", 8642),
        }
        with suppress(Exception):  # Starlette answers, and raises for the server's log
            await self._app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
        return Answer(told[0]["status"], headers, b"".join(it.get("body", b"") for it in told[1:]))
