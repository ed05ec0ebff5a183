"""`encoding-type=url` in ListObjectVersions: keys that XML can't hold, such as one with an ESC, can still be listed.

SDKs ask for the encoding by themselves and undo it. Stock ministack knows it in ListObjects alone and answers 500 here,
so a bucket with such a key could never be emptied.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from ministack.services import s3

NAMES = ("Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker")

_stock_list = s3._list_object_versions
_stock_body = s3._xml_body
_encoding: ContextVar[str] = ContextVar("encoding", default="")


def list_object_versions(bucket: str, query: dict[str, Any]) -> Any:
    wanted = _encoding.set(s3._qp(query, "encoding-type", ""))
    try:
        return _stock_list(bucket, query)
    finally:
        _encoding.reset(wanted)


def body(root: Any) -> Any:
    if _encoding.get() == "url" and root.tag == "ListVersionsResult":
        for element in root.iter():
            if element.tag in NAMES and element.text:
                element.text = s3._url_encode(element.text)
        s3.SubElement(root, "EncodingType").text = "url"
    return _stock_body(root)


def install() -> None:
    s3._list_object_versions = list_object_versions
    s3._xml_body = body
