"""Which branches an upload goes through, and which a removal: the same question for `why` and `audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.deploy.steps import TIDY
from imgpipe.runtime.matching import matches
from imgpipe.runtime.settings import SETTINGS_VARIABLE, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgpipe.deploy.graph import Branch, Graph


def settings_of(branch: Branch) -> Settings:
    return Settings.loads(branch.environment[SETTINGS_VARIABLE])


def creators(graph: Graph) -> list[Branch]:
    """Return the branches that work on uploads."""
    return [it for it in graph.branches if it.steps and settings_of(it).steps]


def tidiers(graph: Graph) -> list[Branch]:
    """Return the branch that hears of removals and deletes outputs, if there is one."""
    return [it for it in graph.branches if it.steps and it.source == TIDY]


def named(branches: Iterable[Branch], name: str) -> tuple[Branch, ...]:
    """Return the branches that a person means by `name`: of a step, or a function by short or full name."""
    return tuple(it for it in branches if name in (it.name, it.function) or name in it.steps)


def steps_for(branch: Branch, key: str) -> tuple[str, ...]:
    """Return the steps of the branch that work on this very key."""
    rules = settings_of(branch).matches
    return tuple(step for step in branch.steps if step not in rules or matches(rules[step], key))
