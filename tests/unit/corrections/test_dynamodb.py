"""What is answered in short is what the long way would answer."""

from __future__ import annotations

from typing import Any

import pytest

from imgpipe.local.corrections import dynamodb

STATUS = "status_shard = :s"
SPAN = "status_shard = :s AND uploaded_at BETWEEN :a AND :b"
GIVEN = {":s": {"S": "done#1"}, ":a": {"S": "2026-01"}, ":b": {"S": "2026-03"}, ":n": {"N": "7"}}


def item(status: str, at: str) -> dict[str, Any]:
    return {"status_shard": {"S": status}, "uploaded_at": {"S": at}, "size": {"N": "7"}}


@pytest.mark.parametrize("expression", [STATUS, SPAN, "size = :n", "begins_with(uploaded_at, :a)"])
@pytest.mark.parametrize(
    "one",
    [
        item("done#1", "2026-01"),
        item("done#1", "2026-03"),
        item("done#1", "2026-030"),
        item("done#1", "2025-12\uffff"),
        item("done#1", "\U0001f98a"),
        item("failed#1", "2026-02"),
        {"status_shard": {"S": "done#1"}},
        {},
    ],
)
def test_a_condition_holds_for_the_same_items(expression: str, one: dict[str, Any]) -> None:
    asked = (expression, one, GIVEN, {}, "KeyConditionExpression")
    assert dynamodb._evaluate_condition(*asked) == dynamodb._stock_evaluate(*asked)


@pytest.mark.parametrize("expression", ["status = :s", "name = :s", "(a = :s", "a = :s AND b"])
def test_what_is_refused_stays_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        dynamodb._evaluate_condition(expression, {}, GIVEN, {}, "KeyConditionExpression")
