"""DynamoDB's corrections.

Faults of stock ministack: UpdateTimeToLive may be sent again with what is already set. AWS refuses that, so a program
that doesn't look first fails there and not here. And a Query reads its condition anew for each row of the partition,
and sorts them all: a page of forty from a table of ten thousand took a second. So a plain Query of an index that wants
a few is given no other members of the partition than those it may answer with. And a projection is read, and its paths
compared with each other, anew for each row: once for each projection is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from heapq import nlargest, nsmallest
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import dynamodb

_stock_update_ttl = dynamodb._update_ttl
_stock_evaluate = dynamodb._evaluate_condition
_stock_query = dynamodb._query
_stock_project = dynamodb._project_item
_stock_members = dynamodb._index_members
_few: ContextVar[Mapping[str, Any] | None] = ContextVar("few", default=None)
_PLAIN = re.compile(
    r"(\w+) = (:\w+)(?: AND (\w+) BETWEEN (:\w+) AND (:\w+))?", re.ASCII | re.IGNORECASE
)


def _update_ttl(data: dict[str, Any]) -> Any:
    asked = data.get("TimeToLiveSpecification") or {}
    current = dynamodb._ttl_settings.get(dynamodb._normalize_table_name(data.get("TableName")))
    is_enabled = bool(current) and current["TimeToLiveStatus"] == "ENABLED"
    if is_enabled == bool(asked.get("Enabled")):
        state = "enabled" if is_enabled else "disabled"
        return error_response_json("ValidationException", f"TimeToLive is already {state}", 400)
    return _stock_update_ttl(data)


def _evaluate_condition(
    expression: Any, item: Any, values: Any, names: Any, slot: str = "ConditionExpression"
) -> Any:
    """Answer the plain conditions of a Query on text; all others as they were."""
    if slot == "KeyConditionExpression" and (plain := _plain(str(expression))):
        held = [_text((item or {}).get(name)) for name in (plain[0], plain[2]) if name]
        given = [_text((values or {}).get(name)) for name in (plain[1], *plain[3:]) if name]
        if None not in (*held, *given):
            return _holds(held, given)
    return _stock_evaluate(expression, item, values, names, slot)


@lru_cache(maxsize=256)
def _plain(expression: str) -> tuple[str | None, ...] | None:
    """Return the names in `a = :b` or `a = :b AND c BETWEEN :d AND :e`; None for anything else."""
    found = _PLAIN.fullmatch(expression)
    if not found or dynamodb._check_reserved_keyword_usage(dynamodb._tokenize(expression)):
        return None
    return found.groups()


def _text(attribute: Any) -> str | None:
    return attribute.get("S") if isinstance(attribute, dict) else None


def _holds(held: list[Any], given: list[Any]) -> bool:
    """Compare texts; Python's order, by code point, is that of their UTF-8, which AWS compares."""
    if held[0] != given[0]:
        return False
    return len(held) == 1 or bool(given[1] <= held[1] <= given[2])


def _query(data: dict[str, Any]) -> Any:
    try:
        token = _few.set(_wanted(data))
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ):  # something is amiss: the stock one says what
        token = _few.set(None)
    try:
        return _stock_query(data)
    finally:
        _few.reset(token)


def _index_members(table: Any) -> Any:
    few = _few.get()
    return _stock_members(table) if few is None else few


def _wanted(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the members that a plain Query with a limit may answer with, as the stock's table of members has them."""
    plain = _plain(str(data.get("KeyConditionExpression")))
    if not plain or not data.get("Limit"):
        return None
    table = dynamodb._tables[dynamodb._normalize_table_name(data["TableName"])]
    index, given = data["IndexName"], data["ExpressionAttributeValues"]
    names = (dynamodb._resolve_index_keys(table, index)[1], table["pk_name"], table["sk_name"])
    if plain[0] != _only_hash(table, index) or plain[2] not in (None, names[0]):
        return None
    if any(dynamodb._get_attr_type(table, name) != "S" for name in names):
        return None
    partition = given[plain[1]]["S"]
    span = [given[name]["S"] for name in plain[3:] if name]
    start = data.get("ExclusiveStartKey")
    after = tuple(start[name]["S"] for name in names) if start else None
    ahead = data.get("ScanIndexForward", True)
    members = _stock_members(table)[index].get(partition, ())
    found = (
        place
        for place in _places(table, members, names[0])
        if (not span or span[0] <= place[0] <= span[1])
        and (after is None or (place > after if ahead else place < after))
    )
    chosen = (nsmallest if ahead else nlargest)(int(data["Limit"]), found)
    return {index: {partition: dict.fromkeys(place[1:] for place in chosen)}}


def _only_hash(table: Any, index: str) -> str:
    """Return the name of an index's one hash key; "" for an index of several, or none of a table's."""
    hashes, ranges = dynamodb._index_key_lists(dynamodb._index_def(table, index))
    return str(hashes[0]) if len(hashes) == len(ranges) == 1 else ""


def _places(table: Any, members: Any, range_name: str) -> Iterator[tuple[str, str, str]]:
    """Yield where each member stands: by the index's range key, then by the table's own keys."""
    held = table["items"]
    for pk, sk in members:
        yield held[pk][sk][range_name]["S"], pk, sk


def _project_item(item: Any, expression: Any, names: Any) -> Any:
    if not expression:
        return item
    found: dict[str, Any] = {}
    for root, rest in _paths(str(expression), tuple(sorted((names or {}).items()))):
        part = dynamodb._project_one(item[root], rest) if root in item else None
        if part is not None:
            known = found.get(root)
            found[root] = part if known is None else dynamodb._merge_projection(known, part)
    return {name: dynamodb._compact_projection(value) for name, value in found.items()}


@lru_cache(maxsize=64)
def _paths(
    expression: str, names: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, list[Any]], ...]:
    """Return a projection's paths: an attribute, and the way inside it. Raises ValueError as the stock one does."""
    _stock_project({}, expression, dict(names))
    parsed = (
        dynamodb._parse_projection_path(path.strip(), dict(names))
        for path in expression.split(",")
        if path.strip()
    )
    return tuple((parts[0][1], parts[1:]) for parts in parsed if parts and parts[0][0] == "name")


def install() -> None:
    dynamodb._project_item = _project_item
    dynamodb._query = _query
    dynamodb._index_members = _index_members
    dynamodb._update_ttl = _update_ttl
    dynamodb._evaluate_condition = _evaluate_condition
