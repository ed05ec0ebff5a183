"""A whole group of dead letters at once: what would go where, and sending it, one ahead of the others if wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imgpipe.errors import MissingError
from imgpipe.operate.dlq import canary, causes, deployed, find, mover, queues, rescue
from imgpipe.operate.dlq.groups import Group, grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.dlq.mover import Outcome
    from imgpipe.operate.dlq.route import Route
    from imgpipe.operate.project import Project

Act = Literal["redrive", "canary", "rescue"]
CANARY_S = 60.0
"""How long a canary may take before the others stay where they are."""


def groups(project: Project) -> list[Group]:
    """Return all dead letters in groups, the largest first."""
    return grouped(causes.explained(project, find.letters(project, queues.homes(project.graph))))


def group(project: Project, name: str) -> Group:
    """Return one group. Raises MissingError when nothing of that kind lies dead any more."""
    found = next((each for each in groups(project) if each.id == name), None)
    if found is None:
        raise MissingError(f"group {name}", "nothing of this kind lies dead any more")
    return found


def routes(
    project: Project, letters: Sequence[Letter], *, force: bool
) -> list[tuple[Letter, Route]]:
    """Return where each letter would go."""
    return deployed.chosen(project, letters, force=force)


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of each letter, and how the one fared that went ahead, if one did."""

    outcomes: tuple[Outcome, ...]
    ahead: canary.Tried | None = None


def act(project: Project, name: str, what: Act, *, force: bool = False) -> Acted:
    """Do it to a group and return what came of it."""
    chosen = group(project, name)
    homes = queues.homes(project.graph)
    if what == "rescue":
        return Acted(tuple(rescue.archive(project, homes, chosen.letters)))
    ways = routes(project, chosen.letters, force=force)

    def send(some: Sequence[tuple[Letter, Route]]) -> list[Outcome]:
        return list(mover.redrive(project, homes, some))

    untried: list[Outcome] = []
    tried: list[canary.Tried] = []
    if what == "canary":
        ways, untried = canary.lead(project, ways, send, CANARY_S, tell=tried.append)
    return Acted((*untried, *send(ways)), tried[0] if tried else None)
