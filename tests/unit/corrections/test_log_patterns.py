"""Which lines a filter pattern of CloudWatch Logs matches."""

from __future__ import annotations

import pytest

from imgpipe.local.corrections.cloudwatch_logs import compiled, selected

JSON = '{"level": "ERROR", "ms": 120, "image": {"key": "in/a.jpg"}, "ok": true, "list": [5]}'


@pytest.mark.parametrize(
    ("pattern", "line", "expected"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR disk", "disk: ERROR", True),
        ("ERROR disk", "ERROR", False),
        ('"disk full"', "the disk full", True),
        ('"disk full"', "full disk", False),
        ("ERROR -retry", "ERROR", True),
        ("ERROR -retry", "ERROR retry", False),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ('{ $.level = "ERROR" }', JSON, True),
        ('{ $.level = "INFO" }', JSON, False),
        ('{ $.level != "INFO" }', JSON, True),
        ('{ $.image.key = "in/*" }', JSON, True),
        ("{ $.ms > 100 }", JSON, True),
        ("{ $.ms > 120 }", JSON, False),
        ('{ $.ms >= 120 && $.level = "ERROR" }', JSON, True),
        ('{ $.ms > 999 || $.level = "ERROR" }', JSON, True),
        ("{ $.ok = true }", JSON, True),
        ("{ $.list[0] = 5 }", JSON, True),
        ('{ $.missing = "x" }', JSON, False),
        ('{ $.level = "ERROR" }', "no JSON: ERROR", False),
    ],
)
def test_a_pattern_matches_as_aws_says(pattern: str, line: str, expected: bool) -> None:
    assert compiled(pattern)(line) is expected


def test_a_path_leads_into_lists_and_objects() -> None:
    assert selected({"a": [{"b": 7}]}, "a[0].b") == 7
