"""An SQS message from a dead-letter queue -> a Letter, whatever kind of failure put it there. Pure.

queue          SQS gave up after so many receives. The body is the message; why it failed is not in
it subscription   SNS couldn't deliver. The body is its envelope; ErrorCode and ErrorMessage are
attributes invocation     Lambda gave up on an event. The body is a record with the event and what
the function raised rejected       a step refused the upload for good. The reason and the step are
attributes
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from imgpipe.operate.times import from_iso, from_ms, iso
from imgpipe.runtime import events
from imgpipe.runtime.errors import Malformed

Kind = Literal["queue", "subscription", "invocation", "rejected"]
REJECTED = "Rejected"
"""The error class of a letter in the `rejected` queue; which of the closed list of reasons it was is its reason."""
_MAX_ENVELOPES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A dead-letter queue: its short name, its URL, how long it keeps a letter, and whose letters it holds.

    `max_receives`: after how many failed attempts SQS moves a message of its branch here; 0 where nothing does.
    """

    name: str
    url: str
    retention_s: int
    branch: str | None = None
    steps: tuple[str, ...] = ()
    holds_rejected: bool = False
    max_receives: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message that failed for good. `error` is a class of failure, `reason` says more; both may be unknown yet.

    `receives` counts the attempts of the step that failed: not SQS's own count, which goes up whenever somebody looks.
    """

    id: str
    queue: str
    kind: Kind
    branch: str | None
    steps: tuple[str, ...]
    key: str | None
    version_id: str | None
    first_seen: datetime
    expires: datetime
    receives: int
    body: str = field(repr=False)
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    error: str = ""
    reason: str = ""
    message: str = ""
    code_hash: str = ""
    settings_hash: str = ""
    names: frozenset[str] = frozenset()  # the ids under which the function's log may speak of it

    @property
    def step(self) -> str:
        return ", ".join(self.steps) or self.branch or ""

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "queue": self.queue,
            "step": self.step,
            "key": self.key,
            "error": self.error or None,
            "reason": self.reason or None,
            "first_seen": iso(self.first_seen),
            "expires": iso(self.expires),
            "receives": self.receives,
        }


def decode(home: Home, message: Mapping[str, Any]) -> Letter:
    """Read one message as `ReceiveMessage` returns it, with all its attributes."""
    system = message.get("Attributes") or {}
    given = message.get("MessageAttributes") or {}
    words = {name: str(value.get("StringValue", "")) for name, value in given.items()}
    sent = from_ms(int(system.get("SentTimestamp", 0)))
    document = parse(message["Body"])
    kind = _kind(home, words, document)
    key, version_id = subject(document)
    shared: dict[str, Any] = {
        "id": message["MessageId"],
        "queue": home.name,
        "kind": kind,
        "branch": home.branch,
        "steps": home.steps,
        "key": key,
        "version_id": version_id,
        "first_seen": sent,
        "expires": sent + timedelta(seconds=home.retention_s),
        "receives": _attempts(home, kind, words, document),
        "body": message["Body"],
        "attributes": given,
        "names": frozenset({message["MessageId"], *_names(document)}),
    }
    if (
        kind == "rejected"
    ):  # attributes can't hold every character of a key: the body's own is better
        shared["key"] = key or words.get("key")
        shared["version_id"] = version_id or words.get("version_id")
    return Letter(**{**shared, **_told(kind, words, document)})


def _kind(home: Home, words: Mapping[str, str], document: Mapping[str, Any]) -> Kind:
    if home.holds_rejected:
        return "rejected"
    if "requestPayload" in document and "requestContext" in document:
        return "invocation"
    return "subscription" if "ErrorCode" in words else "queue"


def _attempts(home: Home, kind: Kind, words: Mapping[str, str], document: Mapping[str, Any]) -> int:
    """Return how often the step tried; 0 when it never got the message."""
    match kind:
        case "rejected":
            return int(words["receives"]) if words.get("receives", "").isdecimal() else 1
        case "invocation":
            return int(document["requestContext"].get("approximateInvokeCount") or 0)
        case "subscription":
            return 0
        case "queue":
            return home.max_receives


def _told(kind: Kind, words: Mapping[str, str], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the letter itself says about its failure."""
    match kind:
        case "rejected":
            return _rejected(words)
        case "invocation":
            return _invocation(document)
        case "subscription":
            return {"error": words["ErrorCode"], "reason": words.get("ErrorMessage", "")}
        case "queue":
            return {}


def _rejected(words: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "error": REJECTED,
        "reason": words.get("reason", ""),
        "message": words.get("message", ""),
        "branch": words.get("branch") or None,
        "steps": tuple(filter(None, words.get("step", "").split(","))),
        "code_hash": words.get("code_hash", ""),
        "settings_hash": words.get("settings_hash", ""),
    }
    if first := from_iso(words.get("first_seen", "")):
        said["first_seen"] = first
    return said


def _invocation(record: Mapping[str, Any]) -> dict[str, Any]:
    condition = str(record["requestContext"].get("condition", ""))
    raised = record.get("responsePayload")
    if not isinstance(raised, Mapping) or not raised.get("errorMessage"):
        return {"error": condition}
    text = str(raised["errorMessage"])
    timed_out = text.partition("Task timed out")
    if timed_out[1]:
        return {"error": "Timeout", "reason": "".join(timed_out[1:])}
    return {"error": str(raised.get("errorType") or condition), "reason": text}


def parse(text: object) -> dict[str, Any]:
    """Return the JSON object in `text`, or an empty one."""
    try:
        document = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def subject(document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the key and version that a message is about, out of however many envelopes."""
    inner = _innermost(document)
    try:
        changes = events.changes(dict(inner))
    except Malformed:
        changes = ()
    if changes:
        return changes[0].key, changes[0].version_id
    version = inner.get("version_id")
    key = inner.get("key")
    return (key if isinstance(key, str) else None), (version if isinstance(version, str) else None)


def _innermost(document: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(_MAX_ENVELOPES):
        inner = _opened(document)
        if not inner:
            break
        document = inner
    return document


def _opened(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is inside one envelope; nothing when `document` isn't one."""
    if "requestPayload" in document:
        return parse(document["requestPayload"])
    if document.get("Type") == "Notification":
        return parse(document.get("Message"))
    records = document.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        if isinstance(records[0].get("Sns"), dict):
            return parse(records[0]["Sns"].get("Message"))
        return parse(records[0].get("body", ""))
    return {}


def _names(document: Mapping[str, Any]) -> set[str]:
    """Return the ids that SNS and Lambda gave to what this letter carries."""
    found = {document.get("MessageId")}
    payload = document.get("requestPayload")
    if isinstance(payload, Mapping):
        found.add((document.get("requestContext") or {}).get("requestId"))
        for record in payload.get("Records") or []:
            found.add((record.get("Sns") or {}).get("MessageId"))
    return {name for name in found if isinstance(name, str)}
