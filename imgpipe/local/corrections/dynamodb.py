"""DynamoDB's corrections.

Faults of stock ministack: UpdateTimeToLive may be sent again with what is already set. AWS refuses that, so a program
that doesn't look first fails there and not here. And a Query reads its condition anew for each row of the partition:
a page of forty from a table of ten thousand took a second.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import dynamodb

_stock_update_ttl = dynamodb._update_ttl
_stock_evaluate = dynamodb._evaluate_condition
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


def install() -> None:
    dynamodb._update_ttl = _update_ttl
    dynamodb._evaluate_condition = _evaluate_condition
