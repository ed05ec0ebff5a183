"""What a request is about, read off its head: the service, the action, and whether it changes anything.

Only the durability gate asks, so the answers lean to the safe side: what isn't known to be a read counts as a change.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_READ = re.compile(
    r"(Get|List|Describe|Head|Query|Scan|BatchGet|TransactGet|Receive|Filter|Lookup|Search|Simulate|Test|Validate|Check"
    r"|StartQuery|StopQuery|StartLiveTail|Decode)"
)
_DATA = {
    "sqs": re.compile(r"(Send|Delete|ChangeMessageVisibility)(Message)?(Batch)?$"),
    "dynamodb": re.compile(r"(Put|Update|Delete)Item$|BatchWriteItem$|TransactWriteItems$"),
    "sns": re.compile(r"Publish(Batch)?$"),
    "logs": re.compile(r"PutLogEvents$"),
    "monitoring": re.compile(r"PutMetricData$"),
}
"""Changes that have journal entries of their own, so that the service's settings needn't be saved."""

_SERVICE_OF_LINK = {"ConfirmSubscription": "sns", "Unsubscribe": "sns"}
_CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/[^/]*/([a-z0-9-]+)/aws4_request")
_BODY_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")


class Request:
    """The head of an HTTP request; `look_at_body` adds the action of a form."""

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.is_form = headers.get(b"content-type", "").startswith(
            "application/x-www-form-urlencoded"
        )
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        target = headers.get(b"x-amz-target", "")
        self.action = target.rpartition(".")[2] or query.get("Action", [""])[0]
        self.service = self._service(headers.get(b"authorization", ""), query)
        self.event_type = headers.get(b"x-amz-invocation-type", "")

    def _service(self, authorization: str, query: dict[str, list[str]]) -> str:
        found = _CREDENTIAL.search(authorization)
        if found:
            return found[1]
        presigned = query.get("X-Amz-Credential", [""])[0].split("/")
        return presigned[3] if len(presigned) == 5 else _SERVICE_OF_LINK.get(self.action, "")

    async def look_at_body(self, receive: Receive) -> Receive:
        """Read the action off a form's first piece; return a `receive` that still yields it."""
        if not self.is_form or self.action or self.method != "POST":
            return receive
        first: list[Message] = [await receive()]
        found = _BODY_ACTION.search(first[0].get("body", b""))
        if found:
            self.action = found[1].decode()

        async def again() -> Message:
            return first.pop() if first else await receive()

        return again

    def changes(self) -> bool:
        """Return whether the request changes anything at all."""
        if self.service == "lambda" and self.path.endswith("/invocations"):
            return bool(self.event_type == "Event")
        if self.action:
            return not _READ.match(self.action)
        return self.method not in {"GET", "HEAD", "OPTIONS"}

    def changes_settings(self) -> bool:
        """Return whether it changes what a service is set up to do, beyond its data."""
        if not self.changes():
            return False
        if self.service == "lambda":
            return not self.path.endswith("/invocations")
        if self.service == "s3":
            return not self.path.strip("/").partition("/")[2]
        data = _DATA.get(self.service)
        return data is None or not data.match(self.action)
