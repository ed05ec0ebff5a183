"""A fault at one chosen call of AWS's API: below botocore's retries, so that it meets what the network would do to it.

A call is known by its operation, by what it is about, and by how many like it came before: `s3:PutObject
shop-variants/ops/lease.json #1`. Threads may make their calls in any order; a call keeps its name.

    throttle, broken   the service says so (400 or 503, 500), and nothing was done
    timeout            no answer within the read timeout, and nothing was done
    lost               it was done, and the connection was cut before the answer came
    denied             403: however often it is asked again
    kill_before        the process is killed before the call left
    kill_after         the process is killed after the call was done
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

Kind = Literal["throttle", "broken", "timeout", "lost", "denied", "kill_before", "kill_after"]
PASSING: tuple[Kind, ...] = ("throttle", "broken", "timeout", "lost")
"""Met once, and then the SDK's next try goes through."""
ENDING: tuple[Kind, ...] = ("denied", "kill_before", "kill_after")
KINDS: tuple[Kind, ...] = (*PASSING, *ENDING)
READING = ("Get", "List", "Describe", "Head", "BatchGet", "Query", "Scan", "Lookup", "Filter")

_ABOUT = (
    *("FunctionName", "StatementId", "Qualifier", "EventSourceArn", "TableName", "RoleName"),
    *("PolicyName", "QueueName", "QueueUrl", "TopicArn", "Protocol", "Endpoint", "Name", "Rule"),
    *("logGroupName", "AlarmName", "DashboardName", "Bucket", "Key", "PartNumber", "AttributeName"),
)
"""Parameters that tell what a call is about, and are the same in each run."""
_CHANCE = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")


class Killed(BaseException):
    """Stands for SIGKILL within a process: no handler may catch it, and nothing more is sent."""


@dataclass(frozen=True, slots=True)
class Strike:
    """The fault, and the call that it meets; every changing call where none is named."""

    kind: Kind
    call: str | None = None

    def meets(self, call: str) -> bool:
        return self.call in (None, call)


class Refused(NamedTuple):
    """What a service answers in place of doing what it is asked, as it is recorded of AWS."""

    status: int
    code: str
    message: str


@dataclass
class Line:
    """What lies between a client and its service. `kill` ends the process, or pretends to."""

    kill: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL)
    strike: Strike | None = None
    told: Callable[[str], object] = lambda _call: None
    refusals: dict[str, list[Refused]] = field(default_factory=dict)
    """By operation, such as `sqs:CreateQueue`: what its next calls hear, one after the other."""
    refused: str = ""
    """An operation, such as `s3:ListObjectsV2`, that is denied for good."""
    reads: set[str] = field(default_factory=set)
    """Reading operations that were called, such as `s3:ListObjectsV2`."""
    calls: list[str] = field(default_factory=list)
    """Changing calls, in the order in which they were begun; each once, however often it was tried."""
    met: int = 0
    dead: bool = False
    _begun: Counter[str] = field(default_factory=Counter)
    _tries: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _here: threading.local = field(default_factory=threading.local)

    @contextmanager
    def struck(self, strike: Strike | None) -> Iterator[Line]:
        """Begin a run of a command."""
        self.strike, self.met, self.dead = strike, 0, False
        self.calls = []
        self._begun.clear()
        self._tries.clear()
        try:
            yield self
        finally:
            self.strike, self.dead = None, False

    def begin(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        """Note what this thread calls next; botocore's `before-parameter-build`."""
        about = " ".join(str(params[name]) for name in _ABOUT if name in params)
        operation = f"{model.service_model.service_name}:{model.name}"
        name = f"{operation} {_CHANCE.sub('RUN', about)}"
        self._here.operation = operation
        if model.name.startswith(READING):
            self.reads.add(operation)
            self._here.call = None
            return
        with self._lock:
            self._begun[name] += 1
            self._here.call = f"{name} #{self._begun[name]}"
            self.calls.append(self._here.call)
            self.told(self._here.call)

    def send(
        self,
        request: Any,
        send: Callable[[Any], Any],
        through: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Send a request, one of perhaps several of a call; by `through` where no fault meets it."""
        if self.dead:
            raise Killed
        if self.refused and self.refused == self._here.operation:
            return refusal(request, *_DENIED)
        call: str | None = getattr(self._here, "call", None)
        if call and (waiting := self.refusals.get(call.partition(" ")[0])):
            return refusal(request, *waiting.pop(0))
        strike = self.strike
        if call is None or strike is None or not strike.meets(call):
            return (through or send)(request)
        with self._lock:
            self._tries[call] += 1
            first = self._tries[call] == 1
        if not first and strike.kind != "denied":
            return (through or send)(request)
        self.met += first
        return self._befall(strike.kind, request, send)

    def _befall(self, kind: Kind, request: Any, send: Callable[[Any], Any]) -> Any:
        match kind:
            case "throttle":
                return refusal(request, *_THROTTLED.get(_service(request), _SLOW), "Rate exceeded")
            case "broken":
                return refusal(request, 500, "InternalError", "We encountered an internal error")
            case "denied":
                return refusal(request, *_DENIED)
            case "timeout":
                raise ReadTimeoutError(endpoint_url=request.url)
            case "lost":
                send(request)
                raise ConnectionClosedError(endpoint_url=request.url)
            case "kill_before":
                return self._die()
            case "kill_after":
                send(request)
                return self._die()

    def _die(self) -> None:
        self.dead = True
        self.kill()
        raise Killed


_DENIED = (403, "AccessDenied", "not authorized to perform this")
_SLOW = (400, "ThrottlingException")
_THROTTLED = {"s3": (503, "SlowDown"), "lambda": (429, "TooManyRequestsException")}


def _service(request: Any) -> str:
    """Return the service that a request was signed for."""
    signed = request.headers.get("Authorization", b"")
    text = signed.decode() if isinstance(signed, bytes) else str(signed)
    found = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", text)
    return found[1] if found else ""


def refusal(request: Any, status: int, code: str, message: str) -> AWSResponse:
    """Return the answer of a service that says no, in the words of its protocol."""
    service = _service(request)
    if service == "s3":
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    elif service in ("sns", "iam", "sts"):
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        body = f"<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>"
    else:
        body = json.dumps({"__type": code, "message": message})
    headers = {"x-amzn-errortype": code, "content-type": "application/octet-stream"}
    return AWSResponse(request.url, status, headers, _Raw(body.encode()))


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@dataclass
class _Session:
    """The HTTP session of a client, with the line in between."""

    line: Line
    answer: Callable[[Any], Any]

    def send(self, request: Any) -> Any:
        return self.line.send(request, self.answer)

    def close(self) -> None:
        pass


def lay(line: Line, client: Any, answer: Callable[[Any], Any] | None = None) -> Any:
    """Lay the line between a client and its service; `answer` stands in for the network."""
    endpoint = client._endpoint
    endpoint.http_session = _Session(line, answer or endpoint.http_session.send)
    client.meta.events.register_first("before-parameter-build", line.begin)
    return client
