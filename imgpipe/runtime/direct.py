"""Leave to upload one file straight to S3, for whoever asks over HTTP: pictures never pass through a function.

    POST {"name": "holiday/a.jpg", "type": "image/jpeg"}
    201  {"url": …, "fields": {…}, "key": "incoming/holiday/1f3a9c…/a.jpg", "bytes": 200000000, "expires": 300}

The fields go into a form (multipart/form-data) before the file. S3 itself holds who uses it to what was signed: this
key, this type, a size from 1 to `bytes`, for `expires` seconds. The key has a part that nobody can guess, so that no
upload takes another's place; in it a signed form can be used again while it holds, and puts a new version.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import unicodedata
from typing import TYPE_CHECKING, Any

from imgpipe.runtime import log
from imgpipe.runtime.settings import Direct, Settings, from_environment
from imgpipe.runtime.store import Store, shared

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_KEY_BYTES = 1024
UNIQUE_BYTES = 8


class RefusedError(Exception):
    """What was asked for isn't allowed; the text says why."""


def run(
    event: dict[str, Any],
    _context: Any,
    *,
    store: Store | None = None,
    settings: Settings | None = None,
    unique: Callable[[], str] = lambda: secrets.token_hex(UNIQUE_BYTES),
) -> dict[str, Any]:
    """Serve one request of the function's URL."""
    told = settings or from_environment()
    try:
        name, kind = asked(event)
        key = key_of(told, name, unique())
        refuse_type(told.direct, kind)
    except RefusedError as error:
        log.line("refused", error=str(error)[:200])
        return _answer(400, {"error": str(error)})
    allowed = told.direct
    url, fields = (store or shared()).form(
        told.uploads_bucket, key, kind, allowed.max_bytes, allowed.life_s
    )
    log.line("allowed", key=key, type=kind)
    made = {"url": url, "fields": fields, "key": key}
    return _answer(201, {**made, "bytes": allowed.max_bytes, "expires": allowed.life_s})


def asked(event: dict[str, Any]) -> tuple[str, str]:
    """Return the name and type that a request asks leave for. Raises RefusedError."""
    method = event.get("requestContext", {}).get("http", {}).get("method", "")
    wanted = _document(event) if method == "POST" else {}
    name, kind = wanted.get("name"), wanted.get("type")
    if not isinstance(name, str) or not isinstance(kind, str):
        raise RefusedError('send a POST with JSON such as {"name": "a.jpg", "type": "image/jpeg"}')
    return name, kind


def key_of(settings: Settings, name: str, unique: str) -> str:
    """Return the key for a file of this name: in its folder, in one of its own. Raises RefusedError."""
    *folders, last = name.strip("/").split("/")
    key = settings.prefix + "/".join([*folders, unique, last])
    if not last or any(part in {"", ".", ".."} for part in folders) or last in {".", ".."}:
        raise RefusedError("the name is no file's")
    # S3 puts a form's own file name in place of this variable, which would make another key.
    if "${" in name or any(unicodedata.category(each) in {"Cc", "Cs"} for each in name):
        raise RefusedError("the name has characters that a key can't have here")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise RefusedError(f"the name is too long: with it the key has over {MAX_KEY_BYTES} bytes")
    if settings.direct.endings and not last.endswith(settings.direct.endings):
        raise RefusedError(f"the name must end in {', '.join(settings.direct.endings)}")
    return key


def refuse_type(allowed: Direct, kind: str) -> None:
    """Raise RefusedError for a type that the pipeline doesn't take."""
    family, _, word = kind.partition("/")
    plain = word.isascii() and word.replace("-", "").replace(".", "").replace("+", "").isalnum()
    if not plain or not {kind, f"{family}/*"} & set(allowed.types):
        raise RefusedError(f"the type must be one of {', '.join(allowed.types)}")


def _document(event: dict[str, Any]) -> dict[str, Any]:
    body = event.get("body") or ""
    try:
        found = json.loads(base64.b64decode(body) if event.get("isBase64Encoded") else body)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _answer(status: int, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": json.dumps(document),
    }
