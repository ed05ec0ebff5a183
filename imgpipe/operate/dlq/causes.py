"""Why a letter failed, when it doesn't say so itself: asked of the image's row, then of the
function's log.

A step that fails tells the writer, so the row of that very version knows the step, the class and
the message. A function that was killed, or that broke before it read its message, tells nobody:
then its log is searched for lines that name the letter, and, as a last resort, for the last failure
that it logged since.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from imgpipe.operate import parallel, rows
from imgpipe.operate.dlq.letters import Letter, parse
from imgpipe.operate.dlq.queues import branch_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from imgpipe.operate.project import Project

_PHRASES = ('"failed"', '"[ERROR]"', '"Task timed out"', '"Runtime exited"')
_MAX_PAGES = 5
_RAISED = re.compile(r"\[ERROR\]\s+(?:\S+Z\s+\S+\s+)?([A-Za-z_][\w.]*): ?([^\r\n]*)")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that a function logged; `subject` is the message that it names, if any."""

    at_ms: int
    error: str
    reason: str
    subject: str = ""


def explained(project: Project, letters: Sequence[Letter]) -> list[Letter]:
    """Return `letters` with what could be found out about their failures."""
    known = rows.by_keys(
        project, {letter.key for letter in letters if letter.key and not letter.reason}
    )
    told = [_from_row(letter, known.get(letter.key or "")) for letter in letters]
    silent = [letter for letter in told if not letter.reason and letter.kind == "queue"]
    logged = _logged(project, silent)
    return [_from_log(letter, logged.get(letter.branch or "", ())) for letter in told]


def _from_row(letter: Letter, row: Mapping[str, Any] | None) -> Letter:
    """Add what the row says about the letter's steps, if it is about the same version."""
    if (
        letter.kind == "rejected"
        or row is None
        or letter.version_id not in (None, row["version_id"])
    ):
        return letter
    failed = {
        name: step.get("error") or {}
        for name, step in row["steps"].items()
        if name in letter.steps and step["status"] in {"failed", "retrying"}
    }
    if not failed:
        return letter
    error = next((error for error in failed.values() if error), {})
    return replace(
        letter,
        steps=tuple(failed),
        error=letter.error or error.get("class", ""),
        reason=letter.reason or error.get("message", "") or error.get("reason", ""),
    )


def _from_log(letter: Letter, failures: Sequence[Failure]) -> Letter:
    if letter.reason or letter.kind != "queue":
        return letter
    first_ms = letter.first_seen.timestamp() * 1000
    about = [failure for failure in failures if failure.subject in letter.names]
    since = [failure for failure in failures if not failure.subject and failure.at_ms >= first_ms]
    found = about or since
    if not found:
        return letter
    return replace(letter, error=letter.error or found[-1].error, reason=found[-1].reason)


def _logged(project: Project, letters: Sequence[Letter]) -> Mapping[str, list[Failure]]:
    """Map each branch that has silent letters to the failures that its function logged since the oldest of them."""
    since: dict[str, datetime] = {}
    for letter in letters:
        if letter.branch:
            since[letter.branch] = min(
                since.get(letter.branch, letter.first_seen), letter.first_seen
            )
    calls = [
        partial(_failures, project, name, int(when.timestamp() * 1000))
        for name, when in since.items()
    ]
    return dict(zip(since, parallel.together(*calls), strict=True))


def _failures(project: Project, name: str, since_ms: int) -> list[Failure]:
    branch = branch_of(project.graph, name)
    if branch is None or branch.log_group is None:
        return []
    logs = project.cloud.client("logs")
    found: list[Failure] = []
    for phrase in _PHRASES:
        found += read(_search(logs, branch.log_group, phrase, since_ms))
    return sorted(found, key=lambda failure: failure.at_ms)


def _search(logs: Any, group: str, phrase: str, since_ms: int) -> Iterable[Mapping[str, Any]]:
    """Yield the events that hold `phrase`. A log group that isn't there holds none."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        filterPattern=phrase,
        startTime=since_ms,
        PaginationConfig={"MaxItems": 10_000 * _MAX_PAGES},
    )
    try:
        for page in pages:
            yield from page.get("events", [])
    except logs.exceptions.ResourceNotFoundException:
        return


def read(log_events: Iterable[Mapping[str, Any]]) -> list[Failure]:
    """Return the failures that log lines tell of."""
    found = (_failure(event["timestamp"], event["message"].strip()) for event in log_events)
    return [failure for failure in found if failure]


def _failure(at_ms: int, text: str) -> Failure | None:
    told = parse(text)
    if told.get("event") == "failed":
        return Failure(
            at_ms,
            str(told.get("error", "")),
            str(told.get("message", "")),
            str(told.get("message_id", "")),
        )
    if raised := _RAISED.search(text):
        return Failure(at_ms, raised[1], raised[2])
    if "Task timed out" in text:
        return Failure(at_ms, "Timeout", text[text.index("Task timed out") :])
    if "Runtime exited" in text:
        return Failure(
            at_ms, "Runtime.ExitError", text[text.index("Runtime exited") :].splitlines()[0]
        )
    return None
