"""What Lambda's API answers where stock ministack does something else.

- `UpdateFunctionCode(DryRun=True)` overwrites the code. AWS checks the zip and the revision, and
  changes nothing.
- What is set for asynchronous calls of `$LATEST` isn't found by who names no qualifier. On AWS the two are one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import lambda_svc

Answer = Any
Invoke = Callable[..., Awaitable[Answer]]

MAX_REQUEST_BYTES = 6_291_556
"""Lambda's 6 MB and the little that it allows around them."""


def _update_code(name: str, data: dict[str, Any]) -> Answer:
    if not data.get("DryRun") or name not in lambda_svc._functions:
        return _stock_update_code(name, data)
    config = lambda_svc._functions[name]["config"]
    refusal = lambda_svc._check_revision(config, data)
    if refusal is not None:
        return refusal
    zipped = _zip(data)
    if zipped is None:
        return error_response_json(
            "InvalidParameterValueException", "Please provide a source.", 400
        )
    refusal = lambda_svc._reject_unreadable_zip(zipped) or lambda_svc._validate_unzipped_size(
        zipped
    )
    if refusal is not None:
        return refusal
    digest = base64.b64encode(hashlib.sha256(zipped).digest()).decode()
    return json_response({**config, "CodeSize": len(zipped), "CodeSha256": digest})


def _zip(data: dict[str, Any]) -> bytes | None:
    if "ZipFile" in data:
        return base64.b64decode(data["ZipFile"])
    found: bytes | None = lambda_svc._fetch_code_from_s3(
        data.get("S3Bucket", ""), data.get("S3Key", ""), version_id=data.get("S3ObjectVersion")
    )
    return found


def _refusing_large(invoke: Invoke) -> Invoke:
    """Wrap `_invoke` as it is now: `async_invoke` has wrapped it before."""

    async def sized(name: str, event: Any, headers: Any, *args: Any, **named: Any) -> Answer:
        if int(headers.get("content-length") or 0) > MAX_REQUEST_BYTES:
            return error_response_json(
                "RequestTooLargeException",
                f"Request must be smaller than {MAX_REQUEST_BYTES} bytes for the InvokeFunction "
                "operation",
                413,
            )
        return await invoke(name, event, headers, *args, **named)

    return sized


def _latest_is_unqualified(stock: Callable[..., Answer]) -> Callable[..., Answer]:
    """Wrap a function of the settings for asynchronous calls: a name, a qualifier, and what else it takes."""

    def asked(name: str, qualifier: str | None = None, *rest: Any) -> Answer:
        return stock(name, None if qualifier == "$LATEST" else qualifier, *rest)

    return asked


_stock_update_code = lambda_svc._update_code


def install() -> None:
    lambda_svc._invoke = _refusing_large(lambda_svc._invoke)
    lambda_svc._update_code = _update_code
    for name in ("_get", "_put", "_delete"):
        whole = f"{name}_event_invoke_config"
        setattr(lambda_svc, whole, _latest_is_unqualified(getattr(lambda_svc, whole)))
