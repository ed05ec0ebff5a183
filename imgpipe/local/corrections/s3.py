"""S3's corrections: events, notification documents, and the smaller differences from AWS.

What becomes of objects is the journal's business. Faults of stock ministack, and AWS's behaviour:
- PutObject doesn't answer with the checksum that it was sent. SDKs send one with every object, and compare.
- A completed upload may have small parts. AWS refuses any but the last under 5 MiB.
- A key may have any length. AWS ends at 1,024 bytes.
- The tags of a version under a delete marker can't be read.
- A missing key is told to everybody who may read keys. AWS says 404 only to who may list the bucket, and 403 to others.
"""

from __future__ import annotations

import re
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, router
from ministack.core.responses import get_region
from ministack.services import s3

from imgpipe.local.corrections import s3_events, s3_listing, s3_rules

Response = tuple[int, dict[str, str], bytes]

MIN_PART_BYTES = 5 * 1024 * 1024
MAX_KEY_BYTES = 1024

_PART_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")

_stock_put = s3._put_object
_stock_dispatch = s3._dispatch
_stock_get_tagging = s3._get_object_tagging


def _put(bucket: str, key: str, body: bytes, headers: dict[str, str]) -> Response:
    status, answered, content = _stock_put(bucket, key, body, headers)
    if status == 200:
        checksums = s3._buckets[bucket]["objects"][key].get("checksums") or {}
        answered |= {f"x-amz-checksum-{name.lower()}": value for name, value in checksums.items()}
        if checksums:
            answered["x-amz-checksum-type"] = "FULL_OBJECT"
    return status, answered, content


def _dispatch(
    method: str, bucket: str, key: str, headers: Any, body: bytes, query: Any
) -> Response:
    if len(key.encode()) > MAX_KEY_BYTES:
        return _refusal("KeyTooLongError", "Your key is too long")
    if (
        method == "POST"
        and "uploadId" in query
        and _has_small_parts(body, s3._qp(query, "uploadId"))
    ):
        return _refusal(
            "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"
        )
    response: Response = _stock_dispatch(method, bucket, key, headers, body, query)
    missing = method in {"GET", "HEAD"} and key and response[0] == 404 and bucket in s3._buckets
    return (missing and _hidden(bucket, headers, query)) or response


def _hidden(bucket: str, headers: Any, query: Any) -> Response | None:
    """Return AWS's answer about a missing key to who may not list the bucket; None for who may."""
    if not app.AUTH:
        return None
    arn = f"arn:aws:s3:::{bucket}"
    key = router.extract_access_key_id(headers, query)
    denied = iam_evaluator.enforce(key, "s3:ListBucket", "s3", get_region(), resource_arn=arn)
    if denied is None or isinstance(denied, iam_evaluator.AuthError):
        return None
    response: Response = iam_actions.access_denied_response(
        "s3", "s3:ListBucket", denied.principal_arn, "", headers=headers, resource_arn=arn
    )
    return response


def _refusal(code: str, message: str) -> Response:
    response: Response = s3._error(code, message, 400)
    return response


def _has_small_parts(document: bytes, upload_id: str) -> bool:
    parts = (s3._multipart_uploads.get(upload_id) or {}).get("parts", {})
    wanted = sorted(int(number) for number in _PART_NUMBER.findall(document))
    return any(parts[n]["size"] < MIN_PART_BYTES for n in wanted[:-1] if n in parts)


def _get_tagging(bucket: str, key: str, query: Any = None) -> Response:
    """ministack looks for a current object before it looks at the version that is asked for: lend it one."""
    objects = (s3._buckets.get(bucket) or {}).get("objects", {key: None})
    versions = s3._object_versions.get((bucket, key)) or []
    wanted = s3._qp(query or {}, "versionId", "")
    hidden = key not in objects and any(
        version["version_id"] == wanted and not version.get("is_delete_marker")
        for version in versions
    )
    if hidden:
        objects[key] = {"version_id": wanted}
    try:
        response: Response = _stock_get_tagging(bucket, key, query)
    finally:
        if hidden:
            del objects[key]
    return response


def install() -> None:
    s3_events.install()
    s3_rules.install()
    s3_listing.install()
    s3._put_object = _put
    s3._dispatch = _dispatch
    s3._get_object_tagging = _get_tagging
