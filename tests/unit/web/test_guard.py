"""Who may ask the console for what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from imgpipe.web.guard import Guard, Rules, is_loopback, refusal

HERE = "127.0.0.1:8642"
OPEN = Rules(token=None)
TOKEN = "x" * 32
ASKING = Rules(token=TOKEN, names=frozenset({"photos.example.com"}))
OURS = {"origin": f"http://{HERE}", "hx-request": "true", "sec-fetch-site": "same-origin"}


def refused(method: str = "GET", rules: Rules = OPEN, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(rules, method, {"host": HERE, **named})


@pytest.mark.parametrize("host", [HERE, "localhost:8642", "[::1]:8642", "LOCALHOST"])
def test_this_machine_gets_in(host: str) -> None:
    assert refused(host=host) == ""


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8642", "", "192.168.1.5", "notlocalhost", "["]
)
def test_a_page_that_points_its_name_at_us_is_kept_out(host: str) -> None:
    assert "Host" in refused(host=host)


def test_with_a_token_addresses_and_told_names_are_answered_and_other_names_are_not() -> None:
    assert refused(rules=ASKING, host="192.168.1.5:8642") == ""
    assert refused(rules=ASKING, host="photos.example.com") == ""
    assert refused(rules=ASKING, host="evil.example") != ""


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8000"])
def test_another_site_may_neither_read_nor_write(origin: str) -> None:
    assert refused(origin=origin)
    assert refused("POST", **{**OURS, "origin": origin})


def test_a_picture_of_ours_in_another_page_is_kept_out_and_a_link_to_us_is_followed() -> None:
    assert refused(sec_fetch_site="cross-site", sec_fetch_mode="no-cors", sec_fetch_dest="image")
    visit = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert refused(sec_fetch_site="cross-site", **visit) == ""
    assert refused(sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="iframe")
    assert refused("POST", sec_fetch_site="cross-site", **visit)


@pytest.mark.parametrize("missing", ["origin", "hx-request"])
def test_what_changes_anything_must_come_from_our_own_page(missing: str) -> None:
    assert refused("POST", **OURS) == ""
    assert refused("POST", **{name: it for name, it in OURS.items() if name != missing})


def test_a_read_only_console_takes_nothing() -> None:
    assert "read-only" in refused("POST", Rules(token=None, read_only=True), **OURS)
    assert refused("GET", Rules(token=None, read_only=True)) == ""


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - asked about, not listened on
        ("::", False),
        ("example.com", False),
    ],
)
def test_what_is_loopback(host: str, *, local: bool) -> None:
    assert is_loopback(host) == local


@dataclass
class Visitor:
    """A browser's requests, as an ASGI server hands them on; it keeps the cookie that it is given."""

    rules: Rules
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    def get(self, path: str, query: str = "", host: str = HERE) -> int:
        """Return the status; `headers` and `body` are the answer's."""

        def page(_request: Any) -> PlainTextResponse:
            return PlainTextResponse("inside")

        app = Guard(Starlette(routes=[Route("/", page), Route("/image", page)]), self.rules)
        return asyncio.run(self._ask(app, path, query, host))

    async def _ask(self, app: Guard, path: str, query: str, host: str) -> int:
        told: list[Any] = []

        async def send(message: Any) -> None:
            told.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        headers = [(b"host", host.encode()), (b"cookie", self.cookie.encode())]
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": headers,
            "server": ("127.0.0.1", 8642),
        }
        await app(scope, receive, send)
        self.headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
        self.body = b"".join(it.get("body", b"") for it in told[1:]).decode()
        self.cookie = self.headers.get("set-cookie", self.cookie).partition(";")[0]
        return int(told[0]["status"])


def test_the_token_in_a_link_becomes_a_cookie_that_other_sites_pages_do_not_send() -> None:
    visitor = Visitor(ASKING)
    assert visitor.get("/") == 401
    assert visitor.get("/", "token=wrong") == 401
    assert visitor.get("/image", f"key=a%2Fb&token={TOKEN}") == 303
    assert visitor.headers["location"] == "/image?key=a%2Fb"
    assert "httponly" in visitor.headers["set-cookie"].lower()
    assert "samesite=strict" in visitor.headers["set-cookie"].lower()
    assert visitor.get("/") == 200
    assert visitor.body == "inside"


def test_a_link_with_the_token_never_leads_elsewhere() -> None:
    visitor = Visitor(ASKING)
    assert visitor.get("//evil.example/", f"token={TOKEN}") == 303
    assert visitor.headers["location"].startswith("/evil.example")


def test_every_answer_keeps_scripts_out_and_is_not_kept() -> None:
    visitor = Visitor(OPEN)
    for host, status in ((HERE, 200), ("evil.example", 403)):
        assert visitor.get("/", host=host) == status
        policy = visitor.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "style-src 'self';" in policy
        assert "unsafe" not in policy
        assert visitor.headers["x-content-type-options"] == "nosniff"
        assert visitor.headers["cache-control"] == "no-store"
