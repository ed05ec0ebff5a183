"""Desired against observed -> a list of actions, in an order that is safe to stop at. Pure: it calls nothing.

Builds come first and follow references, so nothing is made before what it needs. Deletions come last and run
backwards, so nothing live ever points at something already gone; what holds data goes last of all, when nobody can
write to it any more. Wherever `apply` stops, planning again yields what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from imgpipe.deploy.resources import ExistingBucket, Function, Key, Kind, Queue, Resource
from imgpipe.deploy.resources import Mapping as QueueMapping

DATA_KINDS: frozenset[Kind] = frozenset({"bucket", "table"})
"""Kinds that hold what can't be made again: `up` never deletes them."""


class Verb(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do. `resource` is what is wanted; for a deletion, what is there.

    `after` are the keys whose actions must be done first. `reason` is for a person to read, and `warning` for one who
    decides.
    """

    verb: Verb
    resource: Resource
    reason: str
    before: Resource | None = None
    after: frozenset[Key] = frozenset()
    warning: str = ""

    @property
    def key(self) -> Key:
        return self.resource.key

    @property
    def changes(self) -> bool:
        return self.verb is not Verb.KEEP


def plan(desired: Mapping[Key, Resource], observed: Mapping[Key, Resource]) -> list[Action]:
    """List what turns `observed` into `desired`: builds in the order of their references, then deletions.

    Mappings that go from a function that changes go before all: Lambda would hold the function to their queue's
    visibility. What is right already is listed too, as KEEP. Data that is no longer declared is kept, and says so.
    """
    builds = [_build(resource, observed.get(resource.key)) for resource in _in_order(desired)]
    changed = {action.key for action in builds if action.changes}
    strays = {key: resource for key, resource in observed.items() if key not in desired}
    kept = [_kept(resource) for key, resource in strays.items() if key.kind in DATA_KINDS]
    doomed = {key: resource for key, resource in strays.items() if key.kind not in DATA_KINDS}
    early = {key: it for key, it in doomed.items() if _holds_a_function(it, changed)}
    rest = {key: it for key, it in doomed.items() if key not in early}
    begun = {*changed, *early}
    ordered = [_with_order(action, begun, desired, observed) for action in builds]
    unmapped = _deletions(early, "no longer declared")
    return [*unmapped, *_sorted(ordered), *kept, *_deletions(rest, "no longer declared", begun)]


def _holds_a_function(resource: Resource, changed: Collection[Key]) -> bool:
    return isinstance(resource, QueueMapping) and Key("function", resource.function) in changed


def plan_down(observed: Mapping[Key, Resource], kept: Mapping[Key, str]) -> list[Action]:
    """List the deletion of all that is `observed`, except `kept`, which maps keys to the reason for keeping."""
    doomed = {key: resource for key, resource in observed.items() if key not in kept}
    keeps = [
        Action(verb=Verb.KEEP, resource=observed[key], reason=reason, before=observed[key])
        for key, reason in kept.items()
        if key in observed
    ]
    return [*keeps, *_deletions(doomed, "taken down")]


def pending(actions: Iterable[Action]) -> list[Action]:
    """Return the actions that change something."""
    return [action for action in actions if action.changes]


def _build(wanted: Resource, there: Resource | None) -> Action:
    if there is None:
        return Action(verb=Verb.CREATE, resource=wanted, reason="not there")
    if isinstance(wanted, ExistingBucket):
        return _left_alone(wanted, there)
    if there == wanted:
        return Action(verb=Verb.KEEP, resource=wanted, reason="", before=there)
    return Action(
        verb=Verb.UPDATE,
        resource=wanted,
        reason="; ".join(differences(there, wanted)),
        before=there,
    )


def _left_alone(wanted: ExistingBucket, there: Resource) -> Action:
    """Keep a bucket that was there before, and say what of it a person should know."""
    remarks = there.remarks if isinstance(there, ExistingBucket) else ()
    said = "; ".join(remark.said for remark in remarks)
    told = f"it is used as it is, and {said}" if said else ""
    return Action(verb=Verb.KEEP, resource=wanted, reason="", before=there, warning=told)


def _kept(resource: Resource) -> Action:
    reason = "no longer declared, but it holds data: kept"
    return Action(verb=Verb.KEEP, resource=resource, reason=reason, before=resource)


def _with_order(
    action: Action,
    changed: Collection[Key],
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Resource],
) -> Action:
    first = {*action.resource.needs, *_before_it(action, desired, observed)}
    return replace(action, after=frozenset(first & set(changed)))


def _before_it(
    action: Action, desired: Mapping[Key, Resource], observed: Mapping[Key, Resource]
) -> Iterator[Key]:
    """Yield what goes first because Lambda refuses a queue whose visibility is shorter than its function's timeout.

    The queue's visibility is raised before the timeout, and lowered after it; a mapping that goes, goes first.
    """
    match action.resource:
        case Function() as function:
            for held in _mappings_of(function, observed):
                fed_by = Key("queue", held.queue)
                if held.key not in desired:
                    yield held.key
                elif not _is_lowered(fed_by, desired, observed):
                    yield fed_by
        case Queue() as queue if _is_lowered(queue.key, desired, observed):
            for mapping in observed.values():
                if isinstance(mapping, QueueMapping) and mapping.queue == queue.name:
                    yield Key("function", mapping.function)


def _mappings_of(function: Function, observed: Mapping[Key, Resource]) -> Iterator[QueueMapping]:
    for mapping in observed.values():
        if isinstance(mapping, QueueMapping) and mapping.function == function.name:
            yield mapping


def _is_lowered(
    queue: Key, desired: Mapping[Key, Resource], observed: Mapping[Key, Resource]
) -> bool:
    wanted, there = desired.get(queue), observed.get(queue)
    both = isinstance(wanted, Queue) and isinstance(there, Queue)
    return both and wanted.visibility_s < there.visibility_s  # type: ignore[union-attr]


def _in_order(resources: Mapping[Key, Resource]) -> Iterator[Resource]:
    """Yield every resource after all that it needs."""
    done: set[Key] = set()

    def visit(resource: Resource) -> Iterator[Resource]:
        if resource.key not in done:
            done.add(resource.key)
            for need in resource.needs:
                if need in resources:
                    yield from visit(resources[need])
            yield resource

    for resource in resources.values():
        yield from visit(resource)


def _sorted(actions: list[Action]) -> list[Action]:
    """Return `actions` so that each comes after those in its `after`, else in the given order."""
    by_key, done, result = {action.key: action for action in actions}, set[Key](), list[Action]()

    def visit(action: Action) -> None:
        if action.key not in done:
            done.add(action.key)
            for key in sorted(action.after & by_key.keys()):
                visit(by_key[key])
            result.append(action)

    for action in actions:
        visit(action)
    return result


def _deletions(
    doomed: Mapping[Key, Resource], reason: str, after: Collection[Key] = ()
) -> list[Action]:
    """Return the deletions, each after those of everything that needs it; of data, after all others."""
    needed_by: dict[Key, set[Key]] = {key: set() for key in doomed}
    for resource in doomed.values():
        for need in set(resource.needs) & needed_by.keys():
            needed_by[need].add(resource.key)
    others = {key for key in doomed if key.kind not in DATA_KINDS}
    backwards = list(_in_order(doomed))[::-1]
    return [
        Action(
            verb=Verb.DELETE,
            resource=resource,
            reason=reason,
            before=resource,
            after=frozenset(
                {*after, *needed_by[resource.key], *(others if resource.key not in others else ())}
            ),
        )
        for resource in sorted(backwards, key=lambda one: one.key.kind in DATA_KINDS)
    ]


LONGEST_DIFFERENCE = 160
"""A longer one is no reason that a person reads."""


def differences(there: Resource, wanted: Resource) -> list[str]:
    """Say in words what differs: `visibility_s 30 -> 360`, `policy changed`."""
    return [
        _difference(field.name, getattr(there, field.name), getattr(wanted, field.name))
        for field in fields(wanted)
        if field.compare and getattr(there, field.name, None) != getattr(wanted, field.name)
    ]


def _difference(name: str, there: Any, wanted: Any) -> str:
    match name:
        case "code_hash":
            return "code changed"
        case "environment":
            return f"environment changed: {', '.join(_changed_names(there, wanted))}"
        case "rules":
            return f"rules changed: {', '.join(_changed_names(_by_id(there), _by_id(wanted)))}"
        case "policy" | "trust" | "filter_policy" | "body" | "pattern":
            return f"{name.replace('_', ' ')} {_appeared(there, wanted)}"
        case "indexes":
            return f"indexes {_names(there)} -> {_names(wanted)}"
        case _:
            shown = f"{name} {_shown(there)} -> {_shown(wanted)}"
            return shown if len(shown) <= LONGEST_DIFFERENCE else f"{name} changed"


def _changed_names(
    there: Iterable[tuple[str, Any]], wanted: Iterable[tuple[str, Any]]
) -> list[str]:
    return sorted({name for name, _ in set(there) ^ set(wanted)})


def _by_id(rules: Iterable[Any]) -> list[tuple[str, Any]]:
    return [(rule.id, rule) for rule in rules]


def _appeared(there: str, wanted: str) -> str:
    if not there:
        return "missing"
    return "changed" if wanted else "removed"


def _names(indexes: Iterable[Any]) -> str:
    return ", ".join(index.name for index in indexes) or "none"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
