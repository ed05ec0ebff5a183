"""A key that was uploaded again, or removed: each version's timeline is its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imgpipe.operate.log_search import Invocation, Line
from imgpipe.operate.why import belongs
from imgpipe.operate.why.facts import Facts, Version

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = "incoming/a.jpg"
FIRST = Version(id="v1", at=NOON)
SECOND = Version(id="v2", at=NOON + timedelta(seconds=10), latest=True)
MARKER = Version(id="m3", at=NOON + timedelta(seconds=20), latest=True, marker=True)


def facts(subject: Version | None, *versions: Version) -> Facts:
    return Facts(key=KEY, now=NOON, versions=versions, subject=subject)


def run(function: str, second: int, *told: dict[str, Any]) -> Invocation:
    """Return an invocation that began so many seconds after the first upload."""
    at = NOON + timedelta(seconds=second)
    texts = ["START RequestId: r", *(json.dumps({"key": KEY, **it}) for it in told), "REPORT"]
    lines = tuple(Line(at, function, text, f"{second}-{n}") for n, text in enumerate(texts))
    return Invocation(function=function, request_id="r", lines=lines)


def start(step: str, version_id: str | None = None) -> dict[str, Any]:
    return {"event": "start", "step": step, "version_id": version_id}


FORMER = [
    run("thumbs", 1, start("thumbnail", "v1")),
    run("writer", 2, start("thumbnail", "v1")),
    run("writer", 3, start("exif")),
]
LATER = [
    run("thumbs", 11, start("thumbnail", "v2")),
    run("writer", 12, start("thumbnail", "v2")),
    run("writer", 13, start("exif")),
]
REMOVAL = [
    run("tidy", 21, start("tidy", "m3")),
    run("writer", 22, start("removed", "m3")),
    run("writer", 23, start("removed")),
]


@pytest.mark.parametrize(("subject", "own"), [(FIRST, FORMER), (SECOND, LATER), (MARKER, REMOVAL)])
def test_each_version_has_its_own_attempts(subject: Version, own: list[Invocation]) -> None:
    known = facts(subject, MARKER, SECOND, FIRST)
    found = [it for it in (*FORMER, *LATER, *REMOVAL) if belongs.attempt(it, known)]
    assert found == own


def test_what_no_version_is_left_of_begins_with_its_removal() -> None:
    known = facts(None)
    writer = [it for it in (*FORMER, *LATER, *REMOVAL) if it.function == "writer"]
    assert [it for it in writer if belongs.attempt(it, known)] == REMOVAL[1:]


def test_one_batch_about_two_versions_is_told_in_part() -> None:
    both = run("writer", 12, start("thumbnail", "v1"), start("thumbnail", "v2"))
    attempt = belongs.attempt(both, facts(SECOND, SECOND, FIRST))
    assert attempt is not None
    said = [line.told["version_id"] for line in attempt.lines if line.told]
    assert said == ["v2"]
    assert len(attempt.lines) == 3


def test_a_first_upload_is_found_though_clocks_differ() -> None:
    early = run("writer", -30, start("thumbnail"))
    assert belongs.attempt(early, facts(FIRST, FIRST))
    assert not belongs.attempt(early, facts(SECOND, SECOND, FIRST))


def test_without_versions_a_batch_of_a_removal_and_an_upload_is_kept() -> None:
    null = Version(id=None, at=NOON, latest=True)
    both = run("writer", 1, start("removed"), start("thumbnail"))
    attempt = belongs.attempt(both, facts(null, null))
    assert attempt is not None
    assert [line.told["step"] for line in attempt.lines if line.told] == ["thumbnail"]
