"""DynamoDB's corrections.

Fault of stock ministack: UpdateTimeToLive may be sent again with what is already set. AWS refuses that, so a program
that doesn't look first fails there and not here.
"""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import dynamodb

_stock_update_ttl = dynamodb._update_ttl


def _update_ttl(data: dict[str, Any]) -> Any:
    asked = data.get("TimeToLiveSpecification") or {}
    current = dynamodb._ttl_settings.get(dynamodb._normalize_table_name(data.get("TableName")))
    is_enabled = bool(current) and current["TimeToLiveStatus"] == "ENABLED"
    if is_enabled == bool(asked.get("Enabled")):
        state = "enabled" if is_enabled else "disabled"
        return error_response_json("ValidationException", f"TimeToLive is already {state}", 400)
    return _stock_update_ttl(data)


def install() -> None:
    dynamodb._update_ttl = _update_ttl
