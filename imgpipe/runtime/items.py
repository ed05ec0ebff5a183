"""JSON values to and from DynamoDB's attribute format.

boto3's own serialiser refuses floats and would bring half of boto3 with it; a row holds JSON and
nothing else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Attribute = dict[str, Any]


def encode(fields: Mapping[str, Any]) -> dict[str, Attribute]:
    """Return an item.

    Raises TypeError for what JSON can't hold; a float without a value becomes null.
    """
    return {name: _encode(value) for name, value in fields.items()}


def decode(item: Mapping[str, Attribute]) -> dict[str, Any]:
    return {name: _decode(attribute) for name, attribute in item.items()}


def _encode(value: Any) -> Attribute:  # noqa: PLR0911 - one line a type
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case float():
            return {"N": repr(value)} if math.isfinite(value) else {"NULL": True}
        case list() | tuple():
            return {"L": [_encode(each) for each in value]}
        case dict():
            return {"M": {str(name): _encode(each) for name, each in value.items()}}
        case _:
            raise TypeError(f"{type(value).__name__} can't be stored")


def _decode(attribute: Attribute) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return int(value) if value.lstrip("-").isdigit() else float(value)
        case "L":
            return [_decode(each) for each in value]
        case "M":
            return decode(value)
        case "SS" | "NS":
            return list(value)
        case _:
            return None
