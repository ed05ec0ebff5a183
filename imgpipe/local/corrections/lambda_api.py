"""What Lambda's API answers where stock ministack does something else.

- `UpdateFunctionCode(DryRun=True)` overwrites the code. AWS checks the zip and the revision, and
  changes nothing."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import lambda_svc

Answer = Any


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


_stock_update_code = lambda_svc._update_code


def install() -> None:
    lambda_svc._update_code = _update_code
