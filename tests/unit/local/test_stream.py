"""Bytes become events: a line each, errors whole, nothing lost."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imgpipe.local.lambda_runtime.stream import EVENT_MAX_BYTES, Stream


def _messages(*parts: bytes) -> list[str]:
    kept: list[dict[str, Any]] = []
    stream = Stream(kept.extend)
    stream.open()
    for part in parts:
        stream.write(part)
    stream.add("END")
    stream.close()
    assert [event["message"] for event in kept][-1] == "END"
    return [event["message"] for event in kept][:-1]


def test_a_line_that_arrives_in_pieces_is_one_event() -> None:
    assert _messages(b"hel", b"lo\nwor", b"ld\n") == ["hello", "world"]


def test_an_unfinished_line_is_kept_at_the_end() -> None:
    assert _messages(b"no newline") == ["no newline"]


def test_the_lines_of_one_error_stay_one_event() -> None:
    assert _messages(b"[ERROR] x\rTraceback\r  File\n") == ["[ERROR] x\nTraceback\n  File"]


def test_what_is_no_utf8_is_kept_as_far_as_it_is() -> None:
    assert _messages(b"a\xffb\n") == ["a�b"]


def test_an_endless_line_becomes_several_events() -> None:
    assert [len(each) for each in _messages(b"x" * (EVENT_MAX_BYTES + 5))] == [EVENT_MAX_BYTES, 5]


@given(
    text=st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8")), max_size=5),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
def test_no_cut_changes_what_is_logged(text: list[str], cuts: list[int]) -> None:
    data = "".join(f"{line}\n" for line in text).encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[a:b] for a, b in itertools.pairwise(places)]

    assert _messages(*parts) == text
