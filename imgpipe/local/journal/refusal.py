"""The answer to a change that the disk didn't take: status 507 in the shape of the request's protocol.

507 and not 500: SDKs try a 500 again for a minute, and a full disk doesn't empty itself.
"""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from imgpipe.local.journal.requests import Request

STATUS = 507
CODE = "InsufficientStorage"


def shape(request: Request) -> str:
    """Return which of the three protocols the request speaks."""
    if request.service == "s3" or (not request.service and not request.action):
        return "s3"
    return "query" if request.is_form else "json"


def document(protocol: str, why: str) -> tuple[str, bytes]:
    """Return the content type and the text of the refusal."""
    message = f"The embedded cloud could not write to its disk: {why}"
    error = f"<Code>{CODE}</Code><Message>{escape(message)}</Message>"
    match protocol:
        case "s3":
            head = '<?xml version="1.0" encoding="UTF-8"?>\n'
            return "application/xml", f"{head}<Error>{error}</Error>".encode()
        case "query":
            text = f"<ErrorResponse><Error><Type>Receiver</Type>{error}</Error></ErrorResponse>"
            return "text/xml", text.encode()
        case _:
            text = json.dumps({"__type": CODE, "message": message})
            return "application/x-amz-json-1.0", text.encode()


def messages(request: Request, why: str) -> list[dict[str, Any]]:
    """Return the ASGI messages of the answer."""
    content_type, text = document(shape(request), why)
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(text)).encode()),
        (b"x-amzn-errortype", CODE.encode()),
    ]
    text = b"" if request.method == "HEAD" else text
    return [
        {"type": "http.response.start", "status": STATUS, "headers": headers},
        {"type": "http.response.body", "body": text},
    ]
