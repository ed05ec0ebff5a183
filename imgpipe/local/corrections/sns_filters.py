"""Filter policies on a message's body: arrays are descended, as AWS does.

An S3 event is `{"Records": [{"s3": …}]}`; a policy `{"Records": {"s3": {"object": {"key": [{"prefix": "in/"}]}}}}`
matches when any element does. Also the shape that AWS demands of a policy when it is set. Left out: AWS's limit of 150
combinations, which `imgpipe validate` counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.services import sns

MAX_KEYS = 5


def _values(bodies: list[Any], key: str) -> list[Any]:
    found: list[Any] = []
    for body in bodies:
        if isinstance(body, dict) and body.get(key) is not None:
            value = body[key]
            found += value if isinstance(value, list) else [value]
    return found


def lookup(bodies: list[Any]) -> Callable[[str], tuple[bool, list[Any], bool]]:
    """Return ministack's lookup over several objects at once: key -> (present, values, not empty)."""

    def find(key: str) -> tuple[bool, list[Any], bool]:
        values = _values(bodies, key)
        return bool(values), values, any(bodies)

    def child(key: str) -> Any:
        inner = [value for value in _values(bodies, key) if isinstance(value, dict)]
        return lookup(inner) if inner else None

    find.child = child  # type: ignore[attr-defined]
    return find


def policy_problem(text: str) -> str | None:
    """Return why AWS refuses the filter policy, or None."""
    try:
        policy = json.loads(text)
    except ValueError:
        return "FilterPolicy: failed to parse JSON."
    if not isinstance(policy, dict):
        return "FilterPolicy: Filter policy must be an object"
    if len(_leaves(policy)) > MAX_KEYS:
        return "FilterPolicy: Filter policy can not have more than 5 keys"
    return _shape_problem(policy)


def _leaves(policy: dict[str, Any]) -> list[str]:
    return [
        leaf
        for key, rules in policy.items()
        for leaf in (_leaves(rules) if isinstance(rules, dict) else [key])
    ]


def _shape_problem(policy: dict[str, Any]) -> str | None:
    for key, rules in policy.items():
        if isinstance(rules, dict):
            problem = _shape_problem(rules)
            if problem:
                return problem
        elif not isinstance(rules, list):
            return f'FilterPolicy: "{key}" must be an object or an array'
    return None


def install() -> None:
    sns._body_lookup = lambda body: lookup([body])
