"""What stands before every request: the embedded cloud runs code, so web pages must be kept out.

A browser can send requests to loopback from any page. It is known by what it can't help sending:
the Host header, which names the page's own host when the page rebinds that name to 127.0.0.1; the
Origin header of forms and fetches; Sec-Fetch-Site. A page of this machine may use signed requests,
such as presigned uploads; nobody can make those who doesn't have the key. Following a link, as the
one in a confirmation mail, is no fetch.

The server's own doors, under `/_ministack/` and the like, open with the project's token. Code
download links carry a signature made with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from imgpipe.local.lifecycle import STATUS_PATH

if TYPE_CHECKING:
    from imgpipe.local.keys import Keys

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

TOKEN_HEADER = b"x-imgpipe-token"

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\]|([a-z0-9.-]+\.)(localhost|127\.0\.0\.1))")
_AWS = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com|on\.aws)")
"""Names in AWS's answers, such as function URLs. Only AWS could point them elsewhere."""

_OWN_DOORS = ("/_ministack/", "/_localstack/", "/_aws/", "/_alb/", "/_imgpipe/")
_OPEN = ("/_ministack/health", "/_ministack/ready", "/_aws/execute-api/", "/_aws/lambda-url/")
_DOWNLOADS = ("/_ministack/lambda-code/", "/_ministack/lambda-layers/")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_SIGNATURES = ("X-Amz-Signature", "x-amz-signature", "Signature")


class Guard:
    """An ASGI application that refuses what doesn't come from this machine's own programs.

    `status` answers for the server's state.
    """

    def __init__(self, inner: App, keys: Keys, status: Callable[[], dict[str, Any]]) -> None:
        self._inner, self._keys, self._status = inner, keys, status

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        why = refusal(scope, headers, self._keys)
        if why and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif why:
            await _answer(send, 403, {"message": f"Refused by the embedded cloud: {why}"})
        elif scope["path"] == STATUS_PATH:
            await _answer(send, 200, self._status())
        else:
            await self._let_in(scope, headers, receive, send)

    async def _let_in(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Any, send: Any
    ) -> None:
        from imgpipe.local import anonymous

        form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        anonymous.is_form.set(form and scope.get("method") == "POST")
        await self._inner(scope, receive, send)


def refusal(scope: Scope, headers: dict[bytes, bytes], keys: Keys) -> str | None:
    """Return why the request must not get in; None when it may. `headers` have lower-case names."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if not (_LOOPBACK.fullmatch(name) or _AWS.fullmatch(name)):
        return "the Host header doesn't name this machine"
    if why := _from_a_page(scope, headers, host):
        return why
    path: str = scope["path"]
    if path.startswith(_OPEN) or not path.startswith(_OWN_DOORS):
        return None
    return None if _is_trusted(scope, headers, keys) else "this needs the project's token"


def _from_a_page(scope: Scope, headers: dict[bytes, bytes], host: str) -> str | None:
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if origin and origin != f"http://{host}":
        local = _LOOPBACK.fullmatch(urlsplit(origin).hostname or "")
        return None if local and _carries_leave(scope, headers) else "it comes from a web page"
    if headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site"):
        visit = headers.get(b"sec-fetch-mode") == b"navigate" and scope.get("method") in _READS
        if not visit and not _is_signed(scope, headers):
            return "it comes from a web page"
    return None


def _carries_leave(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether it claims a signature, in itself or in its form; or asks what it may send.

    S3 alone takes forms, and none that nobody signed.
    """
    form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
    method = scope.get("method")
    return _is_signed(scope, headers) or method == "OPTIONS" or (form and method == "POST")


def _is_signed(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether it claims a signature, which is then checked where it goes."""
    if headers.get(b"authorization", b"").startswith(b"AWS"):
        return True
    query = scope.get("query_string", b"").decode("latin-1")
    return any(f"{name}=" in query for name in _SIGNATURES)


def _is_trusted(scope: Scope, headers: dict[bytes, bytes], keys: Keys) -> bool:
    if hmac.compare_digest(headers.get(TOKEN_HEADER, b""), keys.token.encode()):
        return True
    if not scope["path"].startswith(_DOWNLOADS) or scope.get("method") not in _READS:
        return False
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    given = query.get("X-Amz-Signature", [""])[0]
    return hmac.compare_digest(given.encode(), download_signature(scope["path"], keys).encode())


def download_signature(path: str, keys: Keys) -> str:
    return hmac.new(keys.token.encode(), path.encode(), hashlib.sha256).hexdigest()


def sign_downloads(keys: Keys) -> None:
    """Have the links to code that Lambda gives out carry a signature that isn't the same for all."""
    from ministack.services import lambda_svc

    def signing(make: Callable[..., str]) -> Callable[..., str]:
        def made(*args: Any) -> str:
            link = urlsplit(make(*args))
            query = "&".join(
                part for part in link.query.split("&") if part and "X-Amz-Signature" not in part
            )
            signature = f"X-Amz-Signature={download_signature(link.path, keys)}"
            return link._replace(query="&".join(filter(None, (query, signature)))).geturl()

        return made

    lambda_svc._presigned_code_url = signing(lambda_svc._presigned_code_url)
    lambda_svc._layer_content_url = signing(lambda_svc._layer_content_url)


async def _answer(send: Any, status: int, document: dict[str, Any]) -> None:
    text = json.dumps(document).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(text)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
