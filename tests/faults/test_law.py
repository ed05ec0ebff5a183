"""The checker of the law can fail: each way to break it is found, and only that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.law.check import breaches, statuses
from tests.faults.law.state import Notice, State, Uploads, Version

GOOD, BAD = "incoming/a.jpg", "incoming/b.jpg"
QUIET = {"one": {"sizes": {"medium": "m", "large": "l"}, "metadata": {}}}


def uploads() -> Uploads:
    return Uploads(
        accepted={(GOOD, "v1"): "old", (GOOD, "v2"): "good", (BAD, "v3"): "bad"},
        quiet={"old": QUIET, "good": QUIET, "bad": {}},
    )


def row(key: str, version: str, status: str, **outputs: str) -> dict[str, Any]:
    made = {name: {"key": output} for name, output in outputs.items()}
    return {"key": key, "version_id": version, "status": status, "outputs": made}


def end(key: str, version: str, status: str, name: str = "1") -> dict[str, Any]:
    return {"id": name, "key": key, "version_id": version, "status": status}


def state() -> State:
    return State(
        versions=[
            Version(key=GOOD, id="v1", etag="old", latest=False),
            Version(key=GOOD, id="v2", etag="good"),
            Version(key=BAD, id="v3", etag="bad"),
        ],
        rows=[
            row(GOOD, "v2", "done", medium="medium/a", large="large/a"),
            row(BAD, "v3", "rejected"),
        ],
        outputs={"medium/a": "m", "large/a": "l"},
        letters=[(BAD, "v3", "rejected")],
        completed=[end(GOOD, "v2", "done"), end(BAD, "v3", "rejected", "2")],
        notices=[Notice(kind="completed", name=GOOD, message_id="1")],
        waiting={"images": 0},
    )


def test_a_state_that_keeps_the_law_breaks_nothing() -> None:
    assert breaches(uploads(), state()) == []
    assert statuses(state()) == {"superseded": 1, "done": 1, "rejected": 1}


def lost_upload(seen: State) -> None:
    del seen.versions[0]


def strange_upload(seen: State) -> None:
    seen.versions.append(Version(key="incoming/c.jpg", id="v9", etag="good"))
    seen.rows.append(row("incoming/c.jpg", "v9", "removed"))


def lost_row(seen: State) -> None:
    del seen.rows[0]
    seen.outputs.clear()


def row_of_an_older_version(seen: State) -> None:
    seen.rows[0]["version_id"] = "v1"


def still_in_flight(seen: State) -> None:
    seen.rows[0]["status"] = "in_flight"


def wrong_end(seen: State) -> None:
    seen.rows[1]["status"] = "failed"


def second_row(seen: State) -> None:
    seen.rows.append(row(GOOD, "v2", "done"))


def lost_output(seen: State) -> None:
    del seen.outputs["large/a"]


def output_that_was_not_made(seen: State) -> None:
    del seen.outputs["large/a"], seen.rows[0]["outputs"]["large"]


def output_that_nobody_names(seen: State) -> None:
    seen.outputs["medium/a.old"] = "m"


def output_that_two_rows_name(seen: State) -> None:
    seen.rows[1]["outputs"] = {"medium": {"key": "medium/a"}}


def wrong_byte(seen: State) -> None:
    seen.outputs["medium/a"] = "n"


def no_letter(seen: State) -> None:
    seen.letters.clear()


def letter_of_another_version(seen: State) -> None:
    seen.letters[0] = (BAD, "v2", "rejected")


def never_announced(seen: State) -> None:
    del seen.completed[0]


def announced_as_something_else(seen: State) -> None:
    seen.completed[0]["status"] = "failed"


def announced_without_an_id(seen: State) -> None:
    seen.completed[0]["id"] = ""


def two_ids(seen: State) -> None:
    seen.completed.append(end(GOOD, "v2", "done", "3"))


def told_twice(seen: State) -> None:
    seen.notices.append(Notice(kind="completed", name=GOOD, message_id="2"))


def no_tombstone(seen: State) -> None:
    seen.versions.append(Version(key=GOOD, id="m", marker=True))
    seen.versions[1] = Version(key=GOOD, id="v2", etag="good", latest=False)


def not_quiet(seen: State) -> None:
    seen.waiting["images"] = 1


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (lost_upload, {"lost upload"}),
        (strange_upload, {"strange upload", "lost"}),
        (lost_row, {"lost"}),
        (row_of_an_older_version, {"lost"}),
        (still_in_flight, {"lost"}),
        (wrong_end, {"lost"}),
        (second_row, {"duplicated row"}),
        (lost_output, {"lost output"}),
        (output_that_was_not_made, {"lost output", "wrong bytes"}),
        (output_that_nobody_names, {"duplicated output"}),
        (output_that_two_rows_name, {"duplicated output"}),
        (wrong_byte, {"wrong bytes", "lost output"}),
        (no_letter, {"no letter"}),
        (letter_of_another_version, {"no letter"}),
        (never_announced, {"not announced"}),
        (announced_as_something_else, {"not announced"}),
        (announced_without_an_id, {"not announced"}),
        (two_ids, {"two ids"}),
        (told_twice, {"told twice"}),
        (no_tombstone, {"no tombstone"}),
        (not_quiet, {"not quiet"}),
    ],
)
def test_each_way_to_break_the_law_is_found(
    spoil: Callable[[State], None], kinds: set[str]
) -> None:
    seen = state()
    spoil(seen)
    assert {breach.kind for breach in breaches(uploads(), seen)} == kinds


def test_outputs_of_one_step_under_two_settings_are_wrong() -> None:
    asked = uploads()
    asked.quiet["good"] = {
        **QUIET,
        "two": {"sizes": {"medium": "m2", "large": "l2"}, "metadata": {}},
    }
    seen = state()
    assert breaches(asked, seen) == []
    seen.outputs["large/a"] = "l2"
    assert "wrong bytes" in {breach.kind for breach in breaches(asked, seen)}


def test_an_upload_whose_answer_was_lost_may_be_there_or_not() -> None:
    asked = uploads()
    del asked.accepted[GOOD, "v1"]
    assert "strange upload" in {breach.kind for breach in breaches(asked, state())}
    asked.unknown = [(GOOD, "old"), (GOOD, "old")]
    assert breaches(asked, state()) == []
