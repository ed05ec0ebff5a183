"""Reading pipeline.yaml: YAML 1.2's idea of a scalar, places of keys and values, and broken files."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgpipe.deploy import yaml_source
from imgpipe.deploy.problems import Mark
from imgpipe.errors import UsageError

FILE = Path("pipeline.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("10:30", "10:30"),
        ("010", 10),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", "1e3"),
        ("2026-01-01", "2026-01-01"),
        ("~", None),
        ("'1'", "1"),
        ("9" * 40, "9" * 40),
    ],
)
def test_scalars_are_what_yaml_1_2_says(text: str, value: object) -> None:
    assert yaml_source.parse(f"a: {text}", FILE).data == {"a": value}


def test_the_key_on_is_a_word_and_no_boolean() -> None:
    assert yaml_source.parse("on: removed", FILE).data == {"on": "removed"}


def test_every_key_and_value_knows_its_place() -> None:
    made = yaml_source.parse("a:\n  b: [1,\n      2]\n", FILE)
    assert made.key_mark(("a", "b")) == Mark(2, 3)
    assert made.mark(("a", "b", 1)) == Mark(3, 7)
    assert made.mark(("a", "missing", "deeper")) == Mark(1, 1)


def test_a_key_that_is_written_twice_is_a_problem_and_the_first_one_counts() -> None:
    made = yaml_source.parse("a: 1\nb: 2\na: 3\n", FILE)
    [(mark, message)] = made.problems
    assert (mark, made.data["a"]) == (Mark(3, 1), 1)
    assert "line 1" in message


def test_an_alias_repeats_what_it_names() -> None:
    assert yaml_source.parse("a: &x {b: 1}\nc: *x\n", FILE).data == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_file_that_explodes_is_refused() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )
    with pytest.raises(UsageError, match="too large or too deep"):
        yaml_source.parse(bomb, FILE)


def test_a_file_that_contains_itself_is_refused() -> None:
    with pytest.raises(UsageError, match="too large or too deep"):
        yaml_source.parse("a: &x [*x]", FILE)


def test_a_file_nested_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="deep"):
        yaml_source.parse("[" * 5000, FILE)


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("a: [1, 2\nb: 3\n", "2:2", "expected ',' or ']'"),
        ("a: b: c\n", "1:5", "mapping values are not allowed here"),
        ("a:\n\t- x\n", "2:1", "a tab can't indent in YAML"),
        ('a: "b\n', "2:1", "unexpected end"),
        ("a: *b\n", "1:4", "undefined alias"),
        ("a: 1\n---\nb: 2\n", "2:1", "single document"),
        ("a: @b\n", "1:4", "cannot start any token"),
        ("a: \x07\n", "1:4", "not allowed"),
    ],
)
def test_broken_yaml_is_told_with_line_and_column(text: str, where: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        yaml_source.parse(text, FILE)
    assert str(caught.value).startswith(f"pipeline.yaml:{where}: ")
    assert why in str(caught.value)


def test_a_tag_of_another_tool_is_a_problem() -> None:
    [(mark, message)] = yaml_source.parse("a: !!python/name:os.system x", FILE).problems
    assert mark == Mark(1, 4)
    assert "means nothing here" in message


def test_a_key_that_is_a_list_is_a_problem() -> None:
    [(_, message)] = yaml_source.parse("? [a]\n: 1\n", FILE).problems
    assert message == "a key must be a word"


def test_a_missing_file_hints_at_init(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file") as caught:
        yaml_source.read(tmp_path / "pipeline.yaml")
    assert "imgpipe init" in caught.value.hint


def test_a_folder_is_no_pipeline(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        yaml_source.read(tmp_path)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_an_empty_file_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match="empty"):
        yaml_source.read(file)


def test_a_file_in_another_encoding_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_bytes(b"version: 1\nname: caf" + b"\xe9\n")
    with pytest.raises(UsageError, match="2:10: this is not UTF-8"):
        yaml_source.read(file)


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_bytes("\ufeffa: 1\n".encode())
    assert yaml_source.read(file).data == {"a": 1}


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_bytes(b"a" * (yaml_source.MAX_BYTES + 1))
    with pytest.raises(UsageError, match="more than a pipeline's"):
        yaml_source.read(file)


def test_what_is_not_yaml_has_the_same_hint_as_any_other_problem() -> None:
    with pytest.raises(UsageError) as caught:
        yaml_source.parse("name: [a\nsteps: {", Path("pipeline.yaml"))
    assert caught.value.hint == "imgpipe schema prints every setting and its limits"
