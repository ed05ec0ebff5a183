"""Whether policy documents let somebody do something: as much of IAM's logic as wiring needs, and no more.

A condition that isn't known here is taken as met where it allows, and as not met where it denies: a doctor who isn't
sure says nothing. Permission boundaries, session policies and an organization's policies are left out.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.policies import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Document = Mapping[str, Any]

_NEVER_SENT_BY_SERVICES = frozenset({"aws:sourceowner"})
_EXACT = frozenset({"stringequals", "arnequals", "bool"})
_LIKE = frozenset({"stringlike", "arnlike", "arnequals"})


def parse(text: str | None) -> Document:
    """Return the document in `text`; an empty one for no text."""
    document = json.loads(text or "{}")
    return document if isinstance(document, dict) else {}


def lets(
    policy: Document, *, service: str, action: str, resource: str, source: str, account: str
) -> bool:
    """Whether a resource's policy lets an AWS service (`s3.amazonaws.com`) act for `source`, an ARN of `account`."""
    context = {
        "aws:sourcearn": source,
        "aws:sourceaccount": account,
        "aws:securetransport": "true",
    }
    fitting = [
        one
        for one in statements(policy)
        if _speaks_of(one, service) and _covers(one, action, resource)
    ]
    allowed = any(one["Effect"] == "Allow" and _met(one, context, unknown=True) for one in fitting)
    denied = any(one["Effect"] == "Deny" and _met(one, context, unknown=False) for one in fitting)
    return allowed and not denied


def may(policies: Iterable[Document], action: str, resource: str) -> bool:
    """Whether a role with these policies may do `action` to `resource`."""
    fitting = [
        one for policy in policies for one in statements(policy) if _covers(one, action, resource)
    ]
    context = {"aws:securetransport": "true"}
    allowed = any(one["Effect"] == "Allow" and _met(one, context, unknown=True) for one in fitting)
    return allowed and not any(
        one["Effect"] == "Deny" and _met(one, context, unknown=False) for one in fitting
    )


def always(policies: Iterable[Document], action: str) -> bool:
    """Say whether a role may do something to one thing at least, and nothing denies it: where no one says to what."""
    speaking = [
        one
        for policy in policies
        for one in statements(policy)
        if _in(one, "Action", action.lower())
    ]
    context = {"aws:securetransport": "true"}
    return any(one["Effect"] == "Allow" for one in speaking) and not any(
        one["Effect"] == "Deny" and _met(one, context, unknown=False) for one in speaking
    )


def is_open(policy: Document) -> bool:
    """Whether everybody is let in: a statement for any principal, without a condition."""
    return any(
        one["Effect"] == "Allow" and not one.get("Condition") and "*" in set(_principals(one))
        for one in statements(policy)
    )


def unbounded(policy: Document) -> list[str]:
    """Return the whole services (`s3:*`, or `*` for all) that a policy lets its role do to everything, whenever."""
    return sorted(
        {
            action
            for one in statements(policy)
            if one["Effect"] == "Allow" and not one.get("Condition")
            if "*" in listed(one.get("Resource", ()))
            for action in map(str, listed(one.get("Action", ())))
            if action == "*" or action.endswith(":*")
        }
    )


def statements(policy: Document) -> Iterator[Mapping[str, Any]]:
    yield from listed(policy.get("Statement", ()))


def _principals(statement: Mapping[str, Any]) -> Iterator[str]:
    named = statement.get("Principal", ())
    if isinstance(named, dict):
        for value in named.values():
            yield from map(str, listed(value))
    else:
        yield from map(str, listed(named))


def _speaks_of(statement: Mapping[str, Any], service: str) -> bool:
    return any(name in {"*", service} for name in _principals(statement))


def _covers(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    return _in(statement, "Action", action.lower()) and _in(statement, "Resource", resource)


def _in(statement: Mapping[str, Any], name: str, value: str) -> bool:
    if f"Not{name}" in statement:
        return not _any_like(statement[f"Not{name}"], value, lower=name == "Action")
    return name not in statement or _any_like(statement[name], value, lower=name == "Action")


def _any_like(patterns: Any, value: str, *, lower: bool = False) -> bool:
    texts = [str(one).lower() if lower else str(one) for one in listed(patterns)]
    return any(fnmatchcase(value, text.replace("[", "[[]")) for text in texts)


def _met(statement: Mapping[str, Any], context: Mapping[str, str], *, unknown: bool) -> bool:
    return all(
        _one_met(operator.lower().removesuffix("ifexists"), key.lower(), wanted, context, unknown)
        for operator, tests in (statement.get("Condition") or {}).items()
        for key, wanted in tests.items()
    )


def _one_met(
    operator: str, key: str, wanted: Any, context: Mapping[str, str], unknown: bool
) -> bool:
    if key in _NEVER_SENT_BY_SERVICES:
        return False
    if key not in context or operator not in _EXACT | _LIKE:
        return unknown
    if operator in _LIKE:
        return _any_like(wanted, context[key])
    return context[key] in {str(one) for one in listed(wanted)}
