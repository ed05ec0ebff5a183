"""The embedded cloud behind bad weather: `python -m tests.faults.law.server FOLDER`, in place of `imgpipe.local`.

What happens to requests stands in `weather.json` beside FOLDER, which is read anew when it changes: rules of a
service, as the request's signature names it, a kind of fault and how likely it is. Whatever asks gets it: functions,
workers, commands.

    500 503 throttle gone   an error in place of an answer; nothing is done
    cut                     a part of an answer, and the connection ends; nothing is done
    lost                    the same, after it was done
    slow                    the answer comes seconds late
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imgpipe.local import guard, server

NAME = "weather.json"
PENDING_PATH = "/_weather/pending"
"""Tells how many events wait for functions, or are worked on."""
SLOW_S = 4.0
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9]+)/")
_JSON = frozenset({"dynamodb", "sqs", "lambda", "logs", "events"})
_GONE = {
    "dynamodb": "ResourceNotFoundException",
    "s3": "NoSuchBucket",
    "sns": "NotFound",
    "sqs": "QueueDoesNotExist",
}
_ERRORS = {
    "500": (500, "InternalError"),
    "503": (503, "ServiceUnavailable"),
    "throttle": (400, "ThrottlingException"),
}


class CutError(Exception):
    """Ends a connection in the middle of an answer."""


class Weather:
    """An ASGI application around another."""

    def __init__(self, inner: Any, file: Path) -> None:
        self._inner, self._file = inner, file
        self._seen = -1
        self._rules: list[dict[str, Any]] = []
        self._dice = random.Random(0)
        self._hits = file.with_suffix(".hits")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == PENDING_PATH:
            from imgpipe.local.corrections import async_invoke  # not before ministack is set up

            body = str(async_invoke.invocations().pending()).encode()
            await _begin(send, 200, body, len(body))
            return
        kind = self._fault(scope) if scope["type"] == "http" else ""
        if not kind:
            await self._inner(scope, receive, send)
        elif kind == "slow":
            await asyncio.sleep(SLOW_S)
            await self._inner(scope, receive, send)
        elif kind in {"cut", "lost"}:
            if kind == "lost":
                await self._inner(scope, receive, _nobody)
            await _begin(send, 200, b"<", 1000)
            raise CutError(kind)
        else:
            status, body = _error(_service(scope), kind)
            await _begin(send, status, body, len(body))

    def _fault(self, scope: Any) -> str:
        self._look()
        service = _service(scope)
        for rule in self._rules:
            known = service and rule["service"] in ("*", service)
            if known and self._dice.random() < rule["p"]:
                with self._hits.open("a") as hits:
                    hits.write(f"{service} {rule['do']}\n")
                return str(rule["do"])
        return ""

    def _look(self) -> None:
        try:
            changed = self._file.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed == self._seen:
            return
        self._seen = changed
        told = json.loads(self._file.read_text()) if changed else {"rules": [], "seed": 0}
        self._rules, self._dice = told["rules"], random.Random(told["seed"])


async def _nobody(_: Any) -> None:
    """Where an answer goes that is lost."""


async def _begin(send: Any, status: int, body: bytes, length: int) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": length > len(body)})


def _service(scope: Any) -> str:
    """Return the service that a request's signature is for; none of what isn't signed in its headers."""
    given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    found = _SCOPE.search(given)
    return found[1] if found else ""


def _error(service: str, kind: str) -> tuple[int, bytes]:
    status, code = (404, _GONE.get(service, "NotFound")) if kind == "gone" else _ERRORS[kind]
    if service in _JSON:
        status = 400 if kind == "gone" else status
        return status, json.dumps({"__type": code, "message": "injected"}).encode()
    told = f"<Error><Code>{code}</Code><Message>injected</Message></Error>"
    return status, (told if service == "s3" else f"<ErrorResponse>{told}</ErrorResponse>").encode()


def main(arguments: list[str]) -> int:
    plain: Callable[..., Any] = guard.Guard
    file = Path(arguments[0]).parent / NAME
    guard.Guard = lambda *given: Weather(plain(*given), file)  # type: ignore[misc, assignment]
    return server.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
