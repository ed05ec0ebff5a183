"""What a step says when it is done with an image: one JSON object on the results queue, which the
writer merges.

Every attempt says something, also one that failed, so that the row shows what is going on. Sent
last, after the outputs: a result is the promise that they are there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
DIRECT_ATTEMPTS = 3
"""Lambda tries an asynchronous invocation three times: once, and two retries."""
MAX_FACTS_BYTES = 32_000
"""A row is at most 400 KB for all steps together.

Facts come from the file, so they could be of any size.
"""

Status = Literal["done", "rejected", "failed", "retrying"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A variant that lies in the variants bucket."""

    key: str
    width: int
    height: int
    bytes: int
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why an attempt didn't end well. `reason` is one of `errors.Reason`, for rejections only."""

    kind: str
    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The object version that was read, and the place of its event in the order of its key's
    changes.
    """

    key: str
    version_id: str | None
    sequencer: str
    etag: str = ""
    size: int = 0
    uploaded_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How one attempt of one step ended."""

    origin: Origin
    step: str
    function: str
    settings_hash: str
    step_hash: str
    code_hash: str
    status: Status
    attempt_id: str
    max_attempts: int
    at: str
    ms: int = 0
    outputs: dict[str, Output] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None

    def document(self) -> dict[str, Any]:
        found = self.origin
        made: dict[str, Any] = {
            "v": VERSION,
            "kind": "step",
            "key": found.key,
            "version_id": found.version_id,
            "etag": found.etag,
            "sequencer": found.sequencer,
            "size": found.size,
            "uploaded_at": found.uploaded_at,
            "step": self.step,
            "function": self.function,
            "settings_hash": self.settings_hash,
            "step_hash": self.step_hash,
            "code_hash": self.code_hash,
            "status": self.status,
            "attempt_id": self.attempt_id,
            "max_attempts": self.max_attempts,
            "at": self.at,
            "ms": self.ms,
            "outputs": {name: _of_output(output) for name, output in self.outputs.items()},
            "facts": bounded(self.facts),
        }
        if self.problem:
            made["error"] = {
                "class": self.problem.kind,
                "message": self.problem.message,
                "reason": self.problem.reason,
            }
        return made


def removed(key: str, version_id: str | None, sequencer: str, at: str) -> dict[str, Any]:
    """Return the message that makes the row of `key` a tombstone."""
    return {
        "v": VERSION,
        "kind": "removed",
        "key": key,
        "version_id": version_id,
        "sequencer": sequencer,
        "at": at,
    }


def orphans(key: str, keys: Sequence[str]) -> dict[str, Any]:
    """Return the message that outputs of an earlier attempt at `key` may lie about, named by no row."""
    return {"v": VERSION, "kind": "orphans", "key": key, "keys": list(keys)}


def outputs(key: str, keys: Sequence[str], version_id: str | None = None) -> dict[str, Any]:
    """Return the order to delete outputs of `key`; with a version, unless that is the current one."""
    version = {"version_id": version_id} if version_id else {}
    return {"v": VERSION, "kind": "outputs", "keys": list(keys), "key": key, **version}


def unnamed(uploads: Sequence[str], keys: Sequence[str]) -> dict[str, Any]:
    """Return the order to delete outputs that no row names, unless that of one of `uploads` does by then."""
    return {"v": VERSION, "kind": "outputs", "keys": list(keys), "uploads": list(uploads)}


def dumps(document: dict[str, Any]) -> str:
    """Return compact JSON in ASCII:

    a queue refuses some characters that keys and EXIF texts can hold.
    """
    return json.dumps(document, separators=(",", ":"))


def attempt_id(message_id: str, receives: int, *, queued: bool, request_id: str, nonce: str) -> str:
    """Name an attempt, so that hearing of it twice counts once.

    A queue counts for us. A direct invocation's retry carries the same request id, so `nonce` tells
    them apart.
    """
    return f"{message_id}:{receives}" if queued else f"{request_id}:{nonce}"


def content_version(version_id: str | None, sequencer: str, step_hash: str) -> str:
    """Return the part of an output's key that changes with the upload and with the settings, and
    with nothing else.

    So a second delivery writes the same keys again, and a put, a delete and the same put again
    never share one.
    """
    seed = f"{version_id or sequencer}\n{step_hash}"
    return hashlib.sha256(seed.encode()).hexdigest()[:12]


def output_key(variant: str, key: str, prefix: str, version: str, extension: str) -> str:
    """Return where a variant goes: `thumb/holiday/a.0123456789ab.jpg` for `incoming/holiday/a.png`.

    S3 takes keys of up to 1,024 bytes, so the stem of a very long one is cut; the version keeps it
    unique.
    """
    whole = stem(key, prefix)
    room = 1024 - len(f"{variant}/.{version}.{extension}".encode())
    fitting = whole.encode()[:room].decode(errors="ignore") if len(whole.encode()) > room else whole
    return f"{variant}/{fitting}.{version}.{extension}"


def stem(key: str, prefix: str) -> str:
    """Return what the names of an upload's outputs share: its own, without the prefix and the ending."""
    relative = key.removeprefix(prefix).lstrip("/") or "unnamed"
    suffix = PurePosixPath(relative).suffix
    return relative[: -len(suffix)] if suffix and len(suffix) <= 16 else relative


def bounded(facts: dict[str, Any], limit: int = MAX_FACTS_BYTES) -> dict[str, Any]:
    """Return `facts` without its largest members until the rest fits into `limit` bytes of JSON."""
    kept = dict(facts)
    sizes = {name: len(dumps({name: value}).encode()) for name, value in kept.items()}
    while kept and sum(sizes[name] for name in kept) > limit:
        del kept[max(kept, key=lambda name: (sizes[name], name))]
    return kept


def chunks(keys: Sequence[str], size: int = 500) -> list[list[str]]:
    """Split `keys` so that a message that lists them stays far below SQS's limit."""
    return [list(keys[start : start + size]) for start in range(0, len(keys), size)]


def _of_output(output: Output) -> dict[str, Any]:
    return {
        "key": output.key,
        "width": output.width,
        "height": output.height,
        "bytes": output.bytes,
        "format": output.format,
    }
