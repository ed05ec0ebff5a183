"""Who hears of a bucket over EventBridge: the live rules of the account's default bus, and the keys they let through.

S3 tells the bus everything; a rule's pattern says what of it goes on to the rule's targets.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.resources import EventRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgpipe.operate.project import Project

Test = str | dict[str, Any]
"""What a pattern asks of a field: a value, or a test such as `{"prefix": "incoming/"}`."""


@dataclass(frozen=True, slots=True)
class BusRule:
    """A live, enabled rule that hears a bucket. `events` are S3's names on the bus, such as `Object Created`; none
    means all of them. `keys` are the tests that a key must pass one of; none means every key."""

    name: str
    events: tuple[str, ...]
    keys: tuple[Test, ...]
    targets: tuple[str, ...]  # `queue NAME`, `function NAME`, or an ARN
    ours: bool

    def hears(self, key: str) -> bool:
        return not self.keys or passes(key, self.keys)

    def names_place_of(self, key: str) -> bool:
        """Whether the rule asks how a key begins, and lets `key` through."""
        return any(_begins(test) and passes(key, [test]) for test in self.keys)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rules(project: Project, bucket: str) -> tuple[BusRule, ...]:
    """Read the rules that hear of `bucket`. Raises botocore's errors."""
    events = project.cloud.client("events")
    ours = {rule.name for rule in project.graph.of(EventRule)}
    pages = events.get_paginator("list_rules").paginate()
    live = [one for page in pages for one in page["Rules"] if one.get("State") != "DISABLED"]
    found = (
        (one["Name"], _pattern(one), one["Name"] in ours) for one in live if hears(one, bucket)
    )
    return tuple(
        BusRule(
            name=name,
            events=tuple(map(str, pattern.get("detail-type", ()))),
            keys=tuple(_within(pattern, "object", "key")),
            targets=tuple(_targets(events, name)),
            ours=mine,
        )
        for name, pattern, mine in found
    )


def hears(rule: Mapping[str, Any], bucket: str) -> bool:
    """Whether S3's events of `bucket` pass a rule, as ListRules tells it; one without a pattern is a timetable's."""
    pattern = _pattern(rule)
    names = _within(pattern, "bucket", "name")
    from_s3 = passes("aws.s3", pattern.get("source", ["aws.s3"]))
    return bool(pattern) and from_s3 and (not names or passes(bucket, names))


def _pattern(rule: Mapping[str, Any]) -> dict[str, Any]:
    made = json.loads(rule.get("EventPattern") or "{}")
    return made if isinstance(made, dict) else {}


def _within(pattern: Mapping[str, Any], *path: str) -> Sequence[Test]:
    found: Any = pattern.get("detail", {})
    for name in path:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, list) else ()


def _targets(events: Any, rule: str) -> Iterator[str]:
    for target in events.list_targets_by_rule(Rule=rule)["Targets"]:
        arn = str(target["Arn"])
        kind = {"sqs": "queue", "lambda": "function", "sns": "topic"}.get(arn.split(":")[2])
        yield f"{kind} {arn.rpartition(':')[2]}" if kind else arn


def passes(value: str, tests: Sequence[Test]) -> bool:
    """Whether `value` passes one of `tests`. A test that isn't known here is taken to let it through."""
    return any(_passes(value, test) for test in tests)


def _passes(value: str, test: Test) -> bool:
    match test:
        case str():
            return value == test
        case {"prefix": str(begin)}:
            return value.startswith(begin)
        case {"suffix": str(end)}:
            return value.endswith(end)
        case {"wildcard": str(form)}:
            like = ".*".join(map(re.escape, form.split("*")))
            return re.fullmatch(like, value, re.DOTALL) is not None
        case {"equals-ignore-case": str(text)}:
            return value.casefold() == text.casefold()
        case _:
            return True


def _begins(test: Test) -> bool:
    match test:
        case str():
            return True
        case {"prefix": str(begin)}:
            return bool(begin)
        case {"wildcard": str(form)}:
            return not form.startswith("*")
        case _:
            return False
