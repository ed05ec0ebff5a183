"""The law: each version has exactly one status, and what breaks the law is named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.operate.audit.law import (
    STATUSES,
    Law,
    Upload,
    is_about,
    judge,
    just_after,
    sequencer_for,
)
from imgpipe.operate.audit.remedy import Invoke, Send, event, made_again, remedy
from imgpipe.operate.dlq import queues
from imgpipe.operate.dlq.letters import Letter, decode
from imgpipe.operate.why.facts import Version
from imgpipe.runtime import events
from imgpipe.runtime.row import merge, normal_sequencer, view
from tests.studio import result, studio_graph

pytestmark = pytest.mark.capability("X1")
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LAW = Law(
    steps=("thumbnail", "enhance"),
    matches={},
    variants={"thumb": "thumbnail", "enhanced": "enhance"},
    now=NOW,
    grace=timedelta(minutes=15),
)
KEY = "incoming/a b.jpg"


def upload(version_id: str | None = "v1", *, marker: bool = False, age_s: int = 7200) -> Upload:
    at = NOW - timedelta(seconds=age_s)
    return Upload(key=KEY, latest=Version(id=version_id, at=at, latest=True, marker=marker))


def row(**changes: Any) -> dict[str, Any]:
    wanted = {"expected": ["thumbnail", "enhance"], "version_id": "v1", **changes}
    return view(merge(None, result(KEY, **wanted))[0])


@cache
def letter(queue: str = "enhance-dlq") -> Letter:
    home = next(home for home in queues.homes(studio_graph()) if home.name == queue)
    body = '{"key": "incoming/a b.jpg", "version_id": "v1"}'
    return decode(home, {"MessageId": "id", "Body": body, "Attributes": {"SentTimestamp": "0"}})


@settings(deadline=None)
@given(
    marker=st.booleans(),
    status=st.sampled_from([None, "done", "rejected", "failed", "retrying"]),
    version=st.sampled_from(["v1", "v0"]),
    dead=st.booleans(),
    age_s=st.sampled_from([0, 7200]),
    busy=st.booleans(),
)
def test_every_version_has_exactly_one_status(
    marker: bool, status: str | None, version: str, dead: bool, age_s: int, busy: bool
) -> None:
    known = row(status=status, version_id=version, step="thumbnail") if status else None
    law = replace(LAW, busy=frozenset({"enhance"}) if busy else frozenset())
    letters = (letter(),) if dead else ()
    ended, finding = judge(law, upload(marker=marker, age_s=age_s), known, letters)

    assert ended in STATUSES
    assert (ended == "none") == (finding is not None and finding.kind == "missing")


def test_a_young_upload_and_one_that_a_queue_may_hold_are_in_flight() -> None:
    assert judge(LAW, upload(age_s=1), None, ()) == ("in_flight", None)
    waiting = replace(LAW, busy=frozenset({"enhance"}))
    assert judge(waiting, upload(), None, ()) == ("in_flight", None)


def test_only_the_steps_that_are_lacking_are_done_again_and_only_by_their_branches() -> None:
    graph = studio_graph()
    known = row(step="thumbnail", status="done", at="2026-11-21T07:00:00.000Z")
    status, finding = judge(LAW, upload(), known, ())
    assert finding is not None
    assert (status, finding.steps) == ("none", ("enhance",))
    [call] = remedy(graph, finding).calls
    assert isinstance(call, Send)
    assert call.queue == "enhance"

    _, lost = judge(LAW, upload(), None, ())
    assert lost is not None
    calls = remedy(graph, lost).calls
    assert {type(call) for call in calls} == {Send, Invoke}


def test_an_event_that_is_sent_again_reads_like_s3s_own() -> None:
    _, finding = judge(LAW, upload("v2"), row(sequencer="0A"), ())
    assert finding is not None
    [change] = events.changes(event(studio_graph(), finding))
    assert (change.kind, change.key, change.version_id) == ("created", KEY, "v2")
    assert change.sequencer == just_after("0A")


def test_a_row_about_this_version_lends_its_sequencer_and_none_means_the_lowest() -> None:
    known = row(sequencer="0A")
    assert sequencer_for(known, upload("v1").latest) == normal_sequencer("0A")
    assert sequencer_for(None, upload().latest) == ""
    assert not is_about(known, upload("v2").latest)


@given(
    row_says=st.integers(0, 16**18 - 2).map(lambda n: f"{n:018X}"),
    ahead=st.integers(1, 1000),
)
def test_just_after_is_above_the_row_and_below_what_s3_says_next(row_says: str, ahead: int) -> None:
    following = f"{min(int(row_says, 16) + ahead, 16**18 - 1):018X}"
    emitted = normal_sequencer(just_after(row_says))
    assert normal_sequencer(row_says) < emitted < normal_sequencer(following)


def test_a_dead_letter_that_the_row_does_not_know_of_is_told_to_it() -> None:
    status, finding = judge(LAW, upload(), None, (letter(),))
    assert status == "failed"
    assert finding is not None
    assert finding.kind == "letter"
    [call] = remedy(studio_graph(), finding).calls
    assert isinstance(call, Send)
    assert '"status":"failed"' in call.body


@pytest.mark.fault("F-46")
def test_a_row_that_waits_for_a_step_that_is_gone_is_looked_at_again() -> None:
    known = row(step="thumbnail", status="done", expected=["thumbnail", "gone"])
    law = replace(LAW, steps=("thumbnail",))
    status, finding = judge(law, upload(), known, ())
    assert (status, finding and finding.kind) == ("none", "missing")
    assert finding is not None
    [call] = remedy(studio_graph(), finding).calls
    assert isinstance(call, Send)
    assert '"status":"retrying"' in call.body  # so that it loses to what the row knows
    told = {**json.loads(call.body), "expected": ["thumbnail"]}
    before, _ = merge(None, result(KEY, step="thumbnail", expected=["gone", "thumbnail"]))
    after, effects = merge(before, told)
    assert (view(before)["status"], view(after)["status"]) == ("in_flight", "done")
    assert effects.announce
    assert view(after)["outputs"] == view(before)["outputs"]


def test_what_is_sent_again_makes_outputs_that_are_no_orphans() -> None:
    _, finding = judge(LAW, upload(), None, ())
    assert finding is not None
    again = made_again(studio_graph(), finding)
    assert {name.partition("/")[0] for name in again} == {"thumb", "enhanced"}
    assert all(re.fullmatch(r"[a-z]+/a b\.[0-9a-f]{12}", name) for name in again)


def test_a_row_of_a_removed_upload_is_stale_and_becomes_a_tombstone() -> None:
    known = row(status="done", sequencer="0A")
    status, finding = judge(LAW, upload("m", marker=True), known, ())
    assert status == "removed"
    assert finding is not None
    [call] = remedy(studio_graph(), finding).calls
    assert '"kind":"removed"' in call.body
    assert judge(replace(LAW, tidies=False), upload("m", marker=True), known, ())[1] is None


@pytest.mark.fault("F-44")
def test_a_rejected_upload_without_a_letter_is_named_until_letters_expire() -> None:
    error = {"class": "Rejected", "message": "m", "reason": "corrupt_image"}
    recent = row(status="rejected", error=error, at="2026-11-21T07:00:00.000Z")
    ancient = row(status="rejected", error=error, at="2026-10-01T07:00:00.000Z")
    assert judge(LAW, upload(), recent, ())[1] is not None
    assert judge(LAW, upload(), recent, (letter("rejected"),)) == ("rejected", None)
    assert judge(LAW, upload(), ancient, ())[1] is None


def test_what_is_older_than_the_pipeline_is_left_to_a_backfill() -> None:
    """Healing knows no budget: a bucket of a million photographs is not sent through by it."""
    law = replace(LAW, since=NOW - timedelta(seconds=3600))
    status, finding = judge(law, upload(), None, ())
    assert finding is not None
    assert (status, finding.kind) == ("none", "before")
    what = remedy(studio_graph(), finding)
    assert what.calls == ()
    assert "imgpipe backfill" in what.words
    for age_s, known in ((1800, None), (7200, row(version_id="v0"))):
        _, finding = judge(law, upload(age_s=age_s), known, ())
        assert finding is not None
        assert finding.kind == "missing"


@pytest.mark.parametrize("key", ["incoming/contract.pdf", "incoming/a.jPg", "incoming/jpg"])
def test_what_no_rule_hears_of_is_no_upload_and_is_never_healed(key: str) -> None:
    law = replace(LAW, endings=(".jpg", ".JPG", ".Jpg"))
    lying = replace(upload(), key=key)
    assert judge(law, lying, None, ()) == ("unheard", None)
    assert judge(replace(law, since=NOW), lying, None, ()) == ("unheard", None)
    assert judge(law, lying, row(status="done", step="thumbnail"), ())[0] != "unheard"
    for ending in law.endings:
        assert judge(law, replace(lying, key=f"incoming/a{ending}"), None, ())[0] == "none"


def test_what_no_step_works_on_is_no_upload() -> None:
    rule = {"prefix": "incoming/", "suffixes": [".png"]}
    law = replace(LAW, matches=dict.fromkeys(LAW.steps, rule))
    assert judge(law, upload(), None, ()) == ("unheard", None)
    assert judge(law, replace(upload(), key="incoming/a.PNG"), None, ())[0] == "none"
