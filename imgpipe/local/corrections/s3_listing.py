"""Two lists of a bucket: its versions and its unfinished uploads. Faults of stock ministack, and AWS's behaviour:

- `encoding-type=url` is known in ListObjects alone, so a key that XML can't hold, such as one with an ESC, breaks the
  answer. SDKs ask for the encoding by themselves for versions, not for uploads. Answers that have no such encoding, of
  CreateMultipartUpload for one, stay broken by these keys, as AWS's are.
- A page that ended with an object of a bucket without versions is followed by one that begins with it once more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import s3

NAMES = ("Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker")

LISTS = ("ListVersionsResult", "ListMultipartUploadsResult")

_stock_versions = s3._list_object_versions
_stock_uploads = s3._list_multipart_uploads
_stock_body = s3._xml_body
_encoding: ContextVar[str] = ContextVar("encoding", default="")


def list_object_versions(bucket: str, query: dict[str, Any]) -> Any:
    last = (bucket, s3._qp(query, "key-marker", ""))
    if not s3._object_versions.get(last):
        query = {name: query[name] for name in query if name != "version-id-marker"}
    return _encoded(_stock_versions, bucket, query)


def list_multipart_uploads(bucket: str, query: dict[str, Any]) -> Any:
    return _encoded(_stock_uploads, bucket, query)


def _encoded(listing: Callable[..., Any], bucket: str, query: dict[str, Any]) -> Any:
    encoding = s3._qp(query, "encoding-type", "")
    if encoding not in {"", "url"}:
        return s3._error("InvalidArgument", "Invalid Encoding Method specified in Request", 400)
    before = _encoding.set(encoding)
    try:
        return listing(bucket, query)
    finally:
        _encoding.reset(before)


def body(root: Any) -> Any:
    if _encoding.get() == "url" and root.tag in LISTS:
        for element in root.iter():
            if element.tag in NAMES and element.text:
                element.text = s3._url_encode(element.text)
        s3.SubElement(root, "EncodingType").text = "url"
    return _stock_body(root)


def install() -> None:
    s3._list_object_versions = list_object_versions
    s3._list_multipart_uploads = list_multipart_uploads
    s3._xml_body = body
