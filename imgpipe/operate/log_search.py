"""What the functions said about one image, or in one invocation: found by search, not by tracing.

CloudWatch finds lines, and a person wants invocations: what was said about a photograph, how long it took, and the
traceback that names neither. Three searches make the one from the other: lines that hold the key; all that those
lines' requests said, which bounds each invocation in time; and everything in that stretch of its stream. A stream is
one environment, which serves one invocation at a time, so nothing foreign is in it.

An invocation of a batch speaks of several images: `about` leaves out what is about others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.errors import MissingError
from imgpipe.operate import parallel
from imgpipe.operate.dlq.letters import parse
from imgpipe.operate.times import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from imgpipe.deploy.graph import Branch
    from imgpipe.operate.project import Project

MAX_INVOCATIONS = 100
"""Read of one function at most, the latest: an image that was tried more often than that is understood by then."""
REQUESTS_A_SEARCH = 20
"""A filter pattern holds 1,024 characters; an id and its quotes take 40."""
_ID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_REQUEST = re.compile(rf"RequestId: ({_ID})|^(?:\[\w+\]\s+)?\S+Z\s+({_ID})\s")
_PLAIN = re.compile(r"[A-Za-z0-9._/ -]+")
_REPORT = re.compile(
    r"^REPORT RequestId: \S+\s+Duration: ([\d.]+) ms.*?Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB"
)
_FAILURE = re.compile(r"\[ERROR\]|Task timed out|Runtime exited")
_FAILED_EVENTS = frozenset({"failed", "retrying", "broken"})
ERROR_PATTERN = " ".join(
    f'?"{word}"'
    for word in (*sorted(_FAILED_EVENTS), "[ERROR]", "Task timed out", "Runtime exited")
)
"""Finds more than failures (the word in a key, say): `is_error` decides."""


@dataclass(frozen=True, slots=True)
class Line:
    """An event of a function's log. `function` is its short name, `stream` the environment that said it."""

    at: datetime
    function: str
    text: str
    id: str
    stream: str = ""

    @property
    def told(self) -> Mapping[str, Any]:
        """The fields of a JSON line; none of any other."""
        return parse(self.text)

    @property
    def request_id(self) -> str:
        found = _REQUEST.search(self.text)
        said = self.told.get("request_id", "")
        return str(said) or (next(filter(None, found.groups())) if found else "")

    @property
    def is_error(self) -> bool:
        told = self.told
        return told.get("event") in _FAILED_EVENTS if told else bool(_FAILURE.search(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One run of a function: its lines in order, and what Lambda reported of it, if it has."""

    function: str
    request_id: str
    lines: tuple[Line, ...]

    @property
    def started(self) -> datetime:
        return self.lines[0].at

    @property
    def report(self) -> tuple[float, int, int] | None:
        """Milliseconds, the megabytes that it had, the megabytes that it used."""
        found = next(filter(None, (_REPORT.match(line.text) for line in self.lines)), None)
        return (float(found[1]), int(found[2]), int(found[3])) if found else None

    def about(self, keys: Collection[str]) -> tuple[Line, ...]:
        """Return the lines but those about other images."""
        named = [line.told for line in self.lines if line.told.get("key") in keys]
        ids = {told["message_id"] for told in named if told.get("message_id")}
        return tuple(line for line in self.lines if _concerns(line.told, keys, ids))


def _concerns(told: Mapping[str, Any], keys: Collection[str], ids: Collection[str]) -> bool:
    if "key" in told:
        return told["key"] in keys
    return "message_id" not in told or not ids or told["message_id"] in ids


def by_key(
    project: Project, branches: Sequence[Branch], keys: Collection[str], since: datetime
) -> list[Invocation]:
    """Return the invocations that spoke of any of `keys` since then, in the order they began."""
    return _gathered(partial(_of_keys, project, branch, keys, since) for branch in branches)


def by_request(
    project: Project, branches: Sequence[Branch], request_id: str, since: datetime
) -> list[Invocation]:
    """Return the invocation with this id: Lambda gives a retry of an asynchronous one the same."""
    return _gathered(
        partial(_invocations, project, branch, [request_id], since) for branch in branches
    )


def _gathered(calls: Iterable[partial[list[Invocation]]]) -> list[Invocation]:
    found = [one for some in parallel.together(*calls) for one in some]
    return sorted(found, key=lambda one: (one.started, one.function))


def _of_keys(
    project: Project, branch: Branch, keys: Collection[str], since: datetime
) -> list[Invocation]:
    """Search by what is plain in the key: how a pattern spells the rest isn't told. Then compare whole keys."""
    requests: dict[str, None] = {}
    for key in keys:
        plain = max(_PLAIN.findall(key), key=len, default="")
        pattern = f'"{plain.strip()}"' if plain.strip() else '"key"'
        requests.update(
            (line.request_id, None)
            for line in search(project, branch, pattern, since)
            if line.told.get("key") == key
        )
    return _invocations(project, branch, list(filter(None, requests)), since)


def _invocations(
    project: Project, branch: Branch, requests: Sequence[str], since: datetime
) -> list[Invocation]:
    wanted = requests[-MAX_INVOCATIONS:]
    spans: dict[tuple[str, str], list[datetime]] = {}
    for start in range(0, len(wanted), REQUESTS_A_SEARCH):
        pattern = " ".join(f'?"{one}"' for one in wanted[start : start + REQUESTS_A_SEARCH])
        for line in search(project, branch, pattern, since):
            if line.request_id in wanted:
                spans.setdefault((line.stream, line.request_id), []).append(line.at)
    return [
        found
        for (stream, request_id), times in spans.items()
        for found in _runs(request_id, _stretch(project, branch, stream, min(times), max(times)))
    ]


def _stretch(
    project: Project, branch: Branch, stream: str, first: datetime, last: datetime
) -> list[Line]:
    more = {"logStreamNames": [stream], "endTime": to_ms(last) + 1}
    return list(search(project, branch, "", first, **more))


def _runs(request_id: str, lines: Iterable[Line]) -> Iterator[Invocation]:
    """Cut a stretch of a stream into the runs of one request: a retry may be served by the same environment."""
    run: list[Line] = []
    ours = False
    for line in lines:
        if line.text.startswith("START "):
            if run:
                yield _run(request_id, run)
            run, ours = [], line.request_id == request_id
        ours = ours or line.request_id == request_id
        if ours and line.request_id in ("", request_id):
            run.append(line)
        if line.text.startswith("REPORT "):
            ours = False
    if run:
        yield _run(request_id, run)


def _run(request_id: str, lines: Sequence[Line]) -> Invocation:
    return Invocation(function=lines[0].function, request_id=request_id, lines=tuple(lines))


def search(
    project: Project, branch: Branch, pattern: str, since: datetime, **more: Any
) -> Iterator[Line]:
    """Yield the lines of one function that match `pattern`, as CloudWatch orders them.

    A log group that isn't there holds none.
    """
    logs = project.cloud.client("logs")
    wanted = {"filterPattern": pattern} if pattern else {}
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=branch.log_group, startTime=to_ms(since), **wanted, **more
    )
    try:
        for page in pages:
            yield from (line_of(branch, event) for event in page.get("events", []))
    except logs.exceptions.ClientError as error:
        known = explain(error, f"log of {branch.name}")
        if not isinstance(known, MissingError):
            raise known from error


def line_of(branch: Branch, event: Mapping[str, Any]) -> Line:
    text = event["message"].rstrip("\n")
    stream = str(event.get("logStreamName", ""))
    fallback = f"{stream}/{event['timestamp']}/{text}"
    return Line(
        from_ms(event["timestamp"]), branch.name, text, event.get("eventId") or fallback, stream
    )
