"""Notification rules that overlap, and events in AWS's shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgpipe.local.corrections.s3_events import Sequencer, event_object, rule_wants
from imgpipe.local.corrections.s3_rules import overlap
from imgpipe.local.journal.store import Journal


def rule(events: list[str], prefix: str | None = None, suffix: str | None = None) -> dict[str, Any]:
    return {"events": events, "filter_prefix": prefix, "filter_suffix": suffix}


CREATED, PUT, REMOVED = "s3:ObjectCreated:*", "s3:ObjectCreated:Put", "s3:ObjectRemoved:*"


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        (rule([CREATED]), rule([PUT]), True),
        (rule([CREATED]), rule([REMOVED]), False),
        (rule([CREATED], "a/"), rule([CREATED], "b/"), False),
        (rule([CREATED], "a/"), rule([CREATED], "a/b/"), True),
        (rule([CREATED], "a/", ".jpg"), rule([CREATED], "a/", ".png"), False),
        (rule([CREATED], "a/", ".jpg"), rule([CREATED], None, "a.jpg"), True),
        (rule([CREATED], "a/", ".jpg"), rule([CREATED], "b/", ".jpg"), False),
        (rule([REMOVED, PUT]), rule([CREATED], suffix=".jpg"), True),
    ],
)
def test_rules_overlap_when_some_event_would_be_for_both(
    one: Any, other: Any, overlaps: bool
) -> None:
    assert overlap(one, other) is overlaps
    assert overlap(other, one) is overlaps


@pytest.mark.parametrize(
    ("prefix", "key", "wanted"),
    [
        ("in/", "in/a.jpg", True),
        ("in+box/", "in box/a.jpg", True),
        ("in+box/", "in+box/a.jpg", True),
        ("%C3%A9/", "é/a.jpg", True),
        ("in/", "IN/a.jpg", False),
    ],
)
def test_a_filter_is_written_as_in_a_url(prefix: str, key: str, wanted: bool) -> None:
    assert rule_wants(rule([CREATED], prefix), PUT, key) is wanted


KNOWN = {"size": 7, "etag": '"abc"', "version_id": "v1"}


@pytest.mark.parametrize(
    ("event", "known", "members"),
    [
        (PUT, KNOWN, {"key", "size", "eTag", "versionId", "sequencer"}),
        (
            "s3:ObjectCreated:Copy",
            {**KNOWN, "version_id": None},
            {"key", "size", "eTag", "sequencer"},
        ),
        (
            "s3:ObjectRemoved:Delete",
            {"size": 0, "etag": "", "version_id": None},
            {"key", "sequencer"},
        ),
        (
            "s3:ObjectRemoved:Delete",
            {"size": 0, "etag": "", "version_id": "v1"},
            {"key", "versionId", "sequencer"},
        ),
        (
            "s3:ObjectRemoved:DeleteMarkerCreated",
            {"size": 0, "etag": "", "version_id": "v2"},
            {"key", "eTag", "versionId", "sequencer"},
        ),
        ("s3:ObjectTagging:Put", KNOWN, {"key", "eTag", "versionId"}),
    ],
)
def test_an_event_says_what_aws_says(event: str, known: Any, members: set[str]) -> None:
    assert set(event_object(event, "in/a b.jpg", known, "00")) == members


def test_a_key_is_encoded_as_in_a_form() -> None:
    assert event_object(PUT, "in/é a+b%\n.jpg", KNOWN, "00")["key"] == "in/%C3%A9+a%2Bb%25%0A.jpg"


@pytest.mark.fault("F-16")
def test_sequencers_grow_over_a_restart_even_if_the_clock_goes_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    future = 1 << 60
    journal.mark("sequencer", "last", lambda: str(future))
    journal.commit()
    sequencer = Sequencer(journal)
    seen = [sequencer.next() for _ in range(3)]
    journal.commit()
    again = Sequencer(journal).next()

    assert all(int(text, 16) > future for text in seen)
    assert sorted([*seen, again]) == [*seen, again]
    assert len(set(map(len, [*seen, again]))) == 1
    journal.close()
