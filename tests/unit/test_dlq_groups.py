"""Fingerprints, choices by group, pattern and age, and a canary's verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.errors import MissingError
from imgpipe.operate.claims import Claim
from imgpipe.operate.dlq import advice, canary, rescue
from imgpipe.operate.dlq.choose import Choice, chosen
from imgpipe.operate.dlq.groups import fingerprint, grouped, place
from imgpipe.operate.dlq.letters import Letter
from imgpipe.operate.why.facts import Facts, Version
from imgpipe.operate.why.trace import trace
from imgpipe.operate.why.verdict import tell
from imgpipe.runtime.row import generation, merge, view
from tests.studio import result, studio_graph

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def letter(number: int, **changes: Any) -> Letter:
    made = Letter(
        id=f"{number:08}-0000",
        queue="small-dlq",
        kind="queue",
        branch="small",
        steps=("small",),
        key=f"incoming/album/{number}.jpg",
        version_id="v1",
        first_seen=NOW - timedelta(hours=number),
        expires=NOW + timedelta(days=14) - timedelta(hours=number),
        receives=5,
        body="{}",
        error="KeyError",
        reason=f"no lens {number} in 'incoming/album/{number}.jpg'",
    )
    return replace(made, **changes)


def test_failures_at_the_same_place_are_one_group() -> None:
    same = [letter(number) for number in range(5)]
    other = [
        letter(9, error="ValueError"),
        letter(10, steps=("large",)),
        letter(11, reason="no flash"),
    ]
    found = grouped([*other, *same])
    assert [len(group.letters) for group in found] == [5, 1, 1, 1]
    assert found[0].letters[0].id == same[-1].id  # the oldest first
    assert len({group.id for group in found}) == 4


DENIED = {
    "error": "ClientError",
    "reason": "An error occurred (AccessDenied) when calling GetObject",
}
REJECTED = {"kind": "rejected", "error": "rejected", "reason": "truncated_image"}


def test_what_is_advised_is_what_helps() -> None:
    assert advice.words([]) == []
    [line] = advice.words([letter(1)], "abc123")
    assert line == "imgpipe dlq redrive --group abc123 --canary"
    [line] = advice.words([letter(1, **DENIED)])
    assert line.startswith("imgpipe doctor")
    [line] = advice.words([letter(1, **REJECTED)], "abc123")
    assert line.startswith("imgpipe dlq show 00000001")
    assert "--group abc123 --force" in line
    assert len(advice.words([letter(1), letter(2, **DENIED), letter(3, **REJECTED)])) == 3


def test_why_leads_from_a_denial_to_the_doctor_first() -> None:
    dead = letter(1, branch="enhance", steps=("enhance",), **DENIED)
    at = Version(id="v1", at=NOW - timedelta(hours=2), latest=True)
    facts = Facts(key=str(dead.key), now=NOW, versions=(at,), subject=at, letters=(dead,))
    story = tell(studio_graph(), facts)
    assert [command[1] for command in story.next] == ["doctor", "dlq"]


@pytest.mark.parametrize(("unconfirmed", "told"), [(False, "sent"), (True, "sent to nobody")])
def test_a_notice_that_nobody_can_get_is_told_so(unconfirmed: bool, told: str) -> None:
    key = "incoming/a.jpg"
    row = view(merge(None, result(key))[0])
    claim = Claim(key=key, kind="failed", upload=generation(row), claimed_at=NOW, sent_at=NOW)
    facts = Facts(key=key, now=NOW, row=row, claims=(claim,), unconfirmed=unconfirmed)
    [hop] = [it for it in trace(studio_graph(), facts) if it.stage == "notice"]
    assert hop.text.split(":")[0] == told


def test_a_groups_id_does_not_depend_on_who_named_its_steps_first() -> None:
    seen = [letter(1, steps=("sizes", "metadata")), letter(2, steps=("metadata", "sizes"))]
    [group] = grouped(seen)
    assert (len(group.letters), group.step) == (2, "metadata, sizes")


def test_what_is_wrong_with_an_image_is_one_group_whichever_steps_saw_it() -> None:
    seen = [
        letter(number, kind="rejected", steps=(step,), error="", reason="not_an_image")
        for number, step in enumerate(("tag", "enhance", "tag"))
    ]
    [group] = grouped([*seen, *seen])
    assert (len(group.letters), group.step) == (6, "enhance, tag")
    told = group.as_json()
    assert (told["count"], told["images"]) == (6, 3)
    assert sorted(told["keys"]) == sorted(str(it.key) for it in seen)


@given(st.integers(0, 10**12), st.text(alphabet="abcdef0123456789", min_size=8, max_size=40))
def test_what_differs_from_image_to_image_changes_no_group(number: int, name: str) -> None:
    reason = f"cannot open '{name}' at byte {number} of incoming/{name}.jpg (0x{number:x})"
    assert fingerprint(letter(1, reason=reason)) == fingerprint(
        letter(2, reason="cannot open 'b' at byte 7 of incoming/c.jpg (0x9)")
    )
    assert place("no lens") != place("no camera")


def test_letters_are_chosen_by_group_pattern_and_age() -> None:
    letters = [letter(1), letter(2, error="ValueError"), letter(30)]
    group = fingerprint(letters[0])

    def ids(**wanted: Any) -> list[int]:
        found = chosen(letters, Choice(prefix="incoming/", now=NOW, **wanted))
        return [int(each.id[:8]) for each in found]

    assert ids(group=group) == [1, 30]
    assert ids(group=group[:4]) == [1, 30]
    assert ids(key="album/?.jpg") == [1, 2]
    assert ids(key="incoming/album/3*.jpg") == [30]
    assert ids(older_s=86_400) == [30]
    assert ids(newer_s=86_400, group=group) == [1]
    with pytest.raises(MissingError, match="no dead letter belongs"):
        ids(group="zzzzzz")


@pytest.mark.fault("F-44")
def test_only_what_expires_soon_is_rescued() -> None:
    soon = letter(1, expires=NOW + timedelta(hours=5))
    assert rescue.expiring([soon, letter(2)], 6 * 3600, NOW) == [soon]


def row(status: str, at: str, version: str = "v1") -> dict[str, Any]:
    step = {
        "status": status,
        "at": at,
        "error": {"message": "no lens"} if status == "failed" else None,
    }
    return {"key": "incoming/album/1.jpg", "version_id": version, "steps": {"small": step}}


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ([None, row("failed", "t0"), row("done", "t1")], "worked"),
        ([row("failed", "t0"), row("retrying", "t1"), row("failed", "t2")], "failed"),
        ([row("rejected", "t1")], "failed"),
        ([row("done", "t1", version="v2")], "silent"),
        ([row("failed", "t0")], "silent"),
        ([row("done", "t0")], "silent"),
    ],
)
def test_a_canary_is_judged_by_what_its_row_says_since(
    seen: list[Any], verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(seen)
    last: list[Any] = [None]

    def by_keys(*_: Any, **__: Any) -> dict[str, Any]:
        last[0] = next(answers, last[0])
        return {last[0]["key"]: last[0]} if last[0] else {}

    monkeypatch.setattr(canary.rows, "by_keys", by_keys)
    ticks = iter(range(100))
    clock = canary.Clock(now=lambda: float(next(ticks)), sleep=lambda _: None)
    one = letter(1)
    [group] = grouped([one])
    said = {"incoming/album/1.jpg": {"small": "t0"}}
    [tried] = canary.watch(None, [(group, one)], said, 20, clock)  # type: ignore[arg-type]
    assert tried.verdict == verdict
    assert (
        tried.why == "no lens"
        or verdict != "failed"
        or seen[-1]["steps"]["small"]["status"] == "rejected"
    )


def test_a_letter_about_no_image_proves_nothing() -> None:
    mail = letter(1, key=None)
    [group] = grouped([mail])
    [tried] = canary.watch(None, [(group, mail)], {}, 5)  # type: ignore[arg-type]
    assert tried.verdict == "silent"
