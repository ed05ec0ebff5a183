"""The laws of the row:

any order and any repetition of what was said leave the same row and lose no output.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.runtime import row

STEPS = ("metadata", "sizes", "thumbnail")
EXPECTED = (["sizes"], ["metadata", "sizes"], ["metadata", "sizes", "thumbnail"])
TIMES = [f"2026-01-31T12:00:0{second}.000Z" for second in range(4)]


def sequencers() -> st.SearchStrategy[str]:
    """A few values, so that they often meet; of both widths and cases that AWS's channels use."""
    return st.sampled_from(["", "01", "02", "0a", "0A", "00B1", "00b1"])


@st.composite
def step_results(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(STEPS))
    status = draw(st.sampled_from(["done", "rejected", "failed", "retrying"]))
    sequencer, step_hash = draw(sequencers()), draw(st.sampled_from(["h1", "h2"]))
    key = f"{name}/a.{row.normal_sequencer(sequencer)[:4]}{step_hash}.jpg"
    output = {"key": key, "width": 1, "height": 1, "bytes": 1, "format": "jpeg"}
    return {
        "v": 1,
        "kind": "step",
        "key": "incoming/a.jpg",
        "version_id": f"v{sequencer.upper()}",
        "etag": draw(st.sampled_from(["e1", "e2"])),
        "sequencer": sequencer,
        "size": draw(st.integers(0, 3)),
        "uploaded_at": TIMES[0],
        "step": name,
        "function": "images",
        "settings_hash": draw(st.sampled_from(["s1", "s2"])),
        "step_hash": step_hash,
        "code_hash": "c",
        "expected": draw(st.sampled_from(EXPECTED)),
        "status": status,
        "attempt_id": draw(st.sampled_from(["m1:1", "m1:2", "m2:1", "m3:1"])),
        "max_attempts": draw(st.sampled_from([3, 5])),
        "at": draw(st.sampled_from(TIMES)),
        "ms": draw(st.integers(0, 2)),
        "outputs": {name: output} if status == "done" else {},
        "facts": {"width": 1},
        "error": None,
    }


@st.composite
def removals(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "v": 1,
        "kind": "removed",
        "key": "incoming/a.jpg",
        "version_id": draw(st.sampled_from(["v1", None])),
        "sequencer": draw(sequencers()),
        "at": draw(st.sampled_from(TIMES)),
    }


def said() -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.one_of(step_results(), step_results(), removals()), min_size=1, max_size=6)


def told(results: list[dict[str, Any]]) -> tuple[row.Row, set[str]]:
    """Return the row after all results, and every output that was to be deleted on the way."""
    current: row.Row | None = None
    deleted: set[str] = set()
    for result in results:
        current, effects = row.merge(current, result)
        deleted |= set(effects.delete)
    assert current is not None
    return current, deleted


@pytest.mark.capability("X12")
@given(said(), st.randoms(use_true_random=False))
@pytest.mark.fault("F-19")
def test_any_order_and_any_repetition_leave_the_same_row(results: list[Any], random: Any) -> None:
    shuffled = results + random.choices(results, k=random.randrange(4))
    random.shuffle(shuffled)
    assert told(shuffled)[0] == told(results)[0]


@pytest.mark.capability("X12")
@given(said())
def test_hearing_something_again_changes_nothing(results: list[Any]) -> None:
    current, _ = told(results)
    for result in results:
        again, _ = row.merge(current, result)
        assert again == current


@given(said())
def test_every_output_is_named_by_the_row_or_was_sent_to_be_deleted(results: list[Any]) -> None:
    current, deleted = told(results)
    made = {each["key"] for result in results for each in result.get("outputs", {}).values()}
    named = row.outputs(current)
    assert made <= named | deleted


@given(said())
def test_what_is_deleted_at_a_step_is_never_named_by_the_row_of_that_step(
    results: list[Any],
) -> None:
    current: row.Row | None = None
    for result in results:
        current, effects = row.merge(current, result)
        assert not set(effects.delete) & row.outputs(current)


@given(said())
def test_the_row_survives_the_table(results: list[Any]) -> None:
    current, _ = told(results)
    assert row.load(row.to_item(current, 7)) == (current, 7)


@given(said())
def test_a_row_has_one_status_and_its_view_says_it(results: list[Any]) -> None:
    current, _ = told(results)
    shown = row.view(current)
    assert shown["status"] == row.status(current)
    assert ("reason" in shown) == (shown["status"] in ("rejected", "failed"))


@given(said())
def test_an_end_is_announced_when_it_comes(results: list[Any]) -> None:
    current: row.Row | None = None
    ended: tuple[str, str] | None = None
    for result in results:
        current, effects = row.merge(current, result)
        now = (current["sequencer"], row.status(current))
        if now != ended and now[1] in row.FINAL:
            assert effects.announce
        ended = now


@given(sequencers(), sequencers(), sequencers())
def test_sequencers_are_ordered_whatever_their_width_and_case(a: str, b: str, c: str) -> None:
    one, other, third = map(row.normal_sequencer, (a, b, c))
    assert len(one) == len(other) == len(third) == row.SEQUENCER_WIDTH
    assert not (one < other < third) or one < third
    assert row.normal_sequencer(a.lower()) == row.normal_sequencer(a.upper())
