"""What is answered in short is what the long way would answer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
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


INDEX = "by_status"
KEYS = ("pk", "sk", "status_shard", "uploaded_at")
TABLE = {
    "TableName": "images",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in KEYS],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": INDEX,
            "KeySchema": [
                {"AttributeName": "status_shard", "KeyType": "HASH"},
                {"AttributeName": "uploaded_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


@pytest.fixture(scope="module")
def table() -> Iterator[None]:
    """Two partitions of rows, of which many came at the same moment; and some that aren't in the index."""
    held, dynamodb.dynamodb._tables = dynamodb.dynamodb._tables, {}
    assert dynamodb.dynamodb._create_table(TABLE)[0] == 200
    at = random.Random(7)
    for number in range(120):
        row = {"pk": {"S": f"{at.randrange(10**6):x}\U0001f98a"}, "sk": {"S": "image"}}
        if number % 10:
            row |= item(f"done#{number % 2}", f"2026-{at.randrange(6):02}")
        assert dynamodb.dynamodb._put_item({"TableName": "images", "Item": row})[0] == 200
    yield
    dynamodb.dynamodb._tables = held


def answers(ask: Any, **asked: Any) -> list[Any]:
    """Return what a Query answers, page by page to its end."""
    told: list[Any] = []
    start: dict[str, Any] = {}
    while True:
        status, _, body = ask({"TableName": "images", "IndexName": INDEX, **asked, **start})
        told.append((status, json.loads(body)))
        if "LastEvaluatedKey" not in told[-1][1]:
            return told
        start = {"ExclusiveStartKey": told[-1][1]["LastEvaluatedKey"]}


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize(
    ("expression", "given"),
    [
        (STATUS, {":s": {"S": "done#1"}}),
        (STATUS, {":s": {"S": "none"}}),
        (SPAN, {":s": {"S": "done#1"}, ":a": {"S": "2026-01"}, ":b": {"S": "2026-03"}}),
        (SPAN, {":s": {"S": "done#1"}, ":a": {"S": "2026-03"}, ":b": {"S": "2026-01"}}),
        (STATUS, {":s": {"N": "7"}}),
        (STATUS, {}),
        ("sk = :s", {":s": {"S": "image"}}),
    ],
)
def test_a_query_of_a_few_answers_the_same_page_by_page(
    monkeypatch: pytest.MonkeyPatch, expression: str, given: Any, limit: int, *, ahead: bool
) -> None:
    monkeypatch.setattr(dynamodb.dynamodb, "_index_members", dynamodb._index_members)
    asked = {
        "KeyConditionExpression": expression,
        "ExpressionAttributeValues": given,
        "ScanIndexForward": ahead,
        "Limit": limit,
    }
    short = answers(dynamodb._query, **asked)
    assert short == answers(dynamodb._stock_query, **asked)


def test_a_query_of_a_few_looks_at_no_others(table: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb.dynamodb, "_index_members", dynamodb._index_members)
    seen: list[Any] = []
    stock = dynamodb.dynamodb._index_order_value
    monkeypatch.setattr(
        dynamodb.dynamodb, "_index_order_value", lambda *it: (seen.append(it), stock(*it))[1]
    )
    asked = {"KeyConditionExpression": STATUS, "ExpressionAttributeValues": {":s": {"S": "done#1"}}}
    dynamodb._query({"TableName": "images", "IndexName": INDEX, "Limit": 2, **asked})
    assert 0 < len(seen) < 20


NESTED = {
    "pk": {"S": "a"},
    "steps": {
        "M": {
            "exif": {"M": {"facts": {"M": {"tags": {"L": [{"S": "x"}, {"S": "y"}]}}}}},
            "thumb": {"M": {"ms": {"N": "4"}}},
        }
    },
}


@pytest.mark.parametrize("one", [NESTED, {"pk": {"S": "b"}}, {}])
@pytest.mark.parametrize(
    "expression",
    [
        "pk",
        "pk, #n0.exif.facts.tags, #n0.thumb.ms",
        "#n0.exif.facts.tags[1], pk",
        "#n0.exif.facts.tags[0], #n0.exif.facts.tags[1]",
        "#n0.none, nobody",
        "",
    ],
)
def test_a_projection_shows_the_same(expression: str, one: dict[str, Any]) -> None:
    for _ in range(2):
        asked = (one, expression, {"#n0": "steps"})
        assert dynamodb._project_item(*asked) == dynamodb._stock_project(*asked)


@pytest.mark.parametrize("expression", ["pk, pk", "#n0, #n0.exif", "status", "pk, #n0.exif, #n0"])
def test_a_projection_that_is_refused_stays_refused(expression: str) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="Invalid"):
            dynamodb._project_item(NESTED, expression, {"#n0": "steps"})
