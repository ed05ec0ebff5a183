"""What every request passes first, and the headers that every answer carries.

A web page elsewhere can make a browser send requests here. It is known by what a browser adds and no script can
forge: the Host header, which names the page's own host when the page points its name at us; Origin; Sec-Fetch-Site.
What changes anything must come from our own page, with a header that no form can send. So there is no token in forms,
and nothing to steal.

An address that others can reach needs the token: once in a link, then in a cookie that no other site's page sends.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

SAFE = frozenset({"GET", "HEAD"})
OWN_HEADER = "hx-request"
"""htmx sends it, and our scripts do. A form can't, and another site's script would have to ask first."""
COOKIE_S = 30 * 24 * 3600
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Who may ask for what. `names` are the hosts we answer to besides loopback, in lower case."""

    token: str | None
    read_only: bool = False
    names: frozenset[str] = frozenset()
    uploads_to: str = ""

    def policy(self) -> str:
        """Return the Content-Security-Policy of our pages: our own scripts and styles, and no others."""
        return "; ".join(
            (
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src 'self' data: blob:",
                f"connect-src 'self' {self.uploads_to}".strip(),
                "manifest-src 'self'",
                "form-action 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
            )
        )


class Guard:
    """An ASGI application around another: refuses, or lets in and adds the headers."""

    def __init__(self, inner: App, rules: Rules) -> None:
        self._inner, self._rules = inner, rules
        self._headers = [
            (b"content-security-policy", rules.policy().encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
        ]

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        why = refusal(self._rules, str(scope["method"]), headers)
        refused = PlainTextResponse(f"Refused: {why}.\n", 403) if why else None
        answer = refused or self._without_token(scope, headers)
        await (answer or self._inner)(scope, receive, self._with_headers(send))

    def _without_token(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        """Return the answer to a request that hasn't shown the token; None when it has, or none is asked for."""
        token = self._rules.token
        if token is None or scope["path"].startswith("/static/"):
            return None
        name = f"imgpipe-{scope['server'][1] if scope.get('server') else 0}"
        if _same(_cookie(headers.get("cookie", ""), name), token):
            return None
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        given = query.pop("token", "")
        if not _same(given, token):
            return HTMLResponse(_DOOR.format(wrong=_WRONG if given else ""), 401)
        rest = f"?{urlencode(query)}" if query else ""
        answer = RedirectResponse(f"/{scope['path'].lstrip('/')}{rest}", 303)
        answer.set_cookie(name, token, COOKIE_S, httponly=True, samesite="strict")
        return answer

    def _with_headers(self, send: Any) -> Any:
        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                own = [(name, value) for name, value in self._headers if name not in given]
                if b"cache-control" not in given:
                    own.append((b"cache-control", b"no-cache" if b"etag" in given else b"no-store"))
                message["headers"] = [*message["headers"], *own]
            await send(message)

        return sending


def refusal(rules: Rules, method: str, headers: Mapping[str, str]) -> str:
    """Return why a request must not get in; "" when it may. `headers` have lower-case names."""
    host, origin = headers.get("host", "").lower(), headers.get("origin")
    site = headers.get("sec-fetch-site", "none")
    if not answers_to(rules, host):
        return "the Host header doesn't name this console"
    foreign = site not in {"none", "same-origin"} and not _is_visit(method, headers)
    if foreign or (origin is not None and not _is_own(origin, host)):
        return "it comes from another site"
    if method in SAFE:
        return ""
    if rules.read_only:
        return "this console is read-only"
    ours = origin is not None and OWN_HEADER in headers
    return "" if ours else "it doesn't come from our own page"


def answers_to(rules: Rules, host: str) -> bool:
    """Return whether we answer to this Host. An address is no name that somebody could point at us."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    bare = f"[{name}]" if ":" in name else name
    if bare in _LOOPBACK or name in rules.names:
        return True
    return rules.token is not None and _is_address(name)


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_own(origin: str, host: str) -> bool:
    found = urlsplit(origin.lower())
    return found.scheme in {"http", "https"} and found.netloc == host


def _is_visit(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether somebody follows a link to a page, which is no fetch and can't be read by who linked."""
    return (
        method in SAFE
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _cookie(text: str, name: str) -> str:
    try:
        found = SimpleCookie(text).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


_WRONG = '<p role="alert" class="wrong">That is not the token.</p>'
_DOOR = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>imgpipe: token</title>
<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/console.css"></head>
<body class="door"><main><h1>imgpipe</h1>{wrong}
<p>This console asks for its token. It is in the link that <code>imgpipe web</code> printed.</p>
<form method="get" action="/"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required>
<button class="primary">Open</button></form></main></body></html>
"""
