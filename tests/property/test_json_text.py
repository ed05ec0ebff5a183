"""JSON that we print holds no character that a terminal, a pager or a log would act on, and means what it meant."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imgpipe.cli.views.json_list import JsonList
from imgpipe.runtime import log

TEXTS = st.text(st.characters(exclude_categories=[]))


@given(TEXTS, st.sampled_from([None, 2]))
@example("a\u2028b\x85c\x9b31m\u202egpj\x7f\x1b[2J", None)
@example("\ud83d alone", 2)
def test_what_cannot_be_printed_is_escaped(text: str, indent: int | None) -> None:
    written = log.dumps({"key": text, text: [1, 2]}, indent)
    assert all(line.isprintable() for line in written.split("\n"))
    assert json.loads(written) == {"key": text, text: [1, 2]}


@given(st.text(st.characters(codec="utf-8")))
def test_what_can_be_printed_stays_readable(text: str) -> None:
    seen = "".join(char for char in text if char.isprintable())
    assert log.dumps(seen) == json.dumps(seen, ensure_ascii=False)


@given(st.lists(TEXTS, max_size=3))
@example(["a\u2028b", "c\x85d\x1ce"])
def test_a_list_written_as_it_comes_stays_json(texts: list[str]) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out, JsonList() as made:
        for text in texts:
            made.add({"key": text})
    assert json.loads(out.getvalue()) == [{"key": text} for text in texts]


@given(TEXTS)
def test_a_log_line_is_one_line(text: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        log.line("start", key=text)
    assert len(out.getvalue().splitlines()) == 1
    assert json.loads(out.getvalue())["key"] == text


@pytest.mark.parametrize("name", ["\x1b[31m", "[red]", "a\nb"])
def test_a_field_of_a_log_line_is_escaped_with_its_name(name: str) -> None:
    from datetime import UTC, datetime

    from rich.text import Text

    from imgpipe.cli.views import logs
    from imgpipe.operate.logs import Line

    entry = Line(
        id="1", at=datetime.now(UTC), function="f", text=json.dumps({"event": "x", name: 1})
    )
    shown = Text.from_markup(logs.body(entry, frozenset())).plain
    assert shown.isprintable()
    assert name in shown or "\\x" in shown
