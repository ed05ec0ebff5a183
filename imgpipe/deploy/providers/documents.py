"""Policy documents compared by meaning: services give them back in another spelling than they were put.

S3 and IAM collapse lists of one, some reorder lists, and condition keys differ in case. `settled` returns the
declared text when the found document means the same, so that equality of texts stays the diff.
"""

from __future__ import annotations

import json
from typing import Any

from imgpipe.deploy.policies import listed
from imgpipe.deploy.resources import canonical


def settled(found: str | dict[str, Any] | None, declared: str) -> str:
    """Return `declared` if `found` means the same, else the canonical text of `found` ("" for none)."""
    document = _parsed(found)
    if document is None:
        return found if isinstance(found, str) else ""
    if declared and meaning(document) == meaning(_parsed(declared)):
        return declared
    return canonical(document)


def _parsed(text: str | dict[str, Any] | None) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return None


def meaning(document: Any) -> Any:
    """Reduce a document so that equal meanings are equal.

    Lists become sorted, lists of one bare, condition keys lower case.
    """
    match document:
        case {"Statement": statements, **rest}:
            return {**rest, "Statement": sorted(map(_statement, listed(statements)), key=canonical)}
        case _:
            return _set(document)


def _statement(statement: dict[str, Any]) -> dict[str, Any]:
    conditions = statement.get("Condition", {})
    lowered = {
        operator: {key.lower(): _set(value) for key, value in tests.items()}
        for operator, tests in conditions.items()
    }
    rest = {
        key: _set(value)
        for key, value in statement.items()
        if key not in {"Condition", "Principal"}
    }
    return {**rest, "Condition": lowered, "Principal": _principal(statement.get("Principal"))}


def _principal(principal: Any) -> Any:
    if principal == {"AWS": "*"}:
        return "*"
    return _set(principal)


def _set(value: Any) -> Any:
    if isinstance(value, list):
        return (
            _set(value[0])
            if len(value) == 1
            else sorted((_set(one) for one in value), key=canonical)
        )
    if isinstance(value, dict):
        return {key: _set(inner) for key, inner in value.items()}
    return value
