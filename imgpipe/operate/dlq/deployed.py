"""What runs where rejected letters came from. An edit that isn't up yet changes nothing there, and a redrive with it
would only fail again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgpipe.cloud import explain
from imgpipe.errors import DeniedError, MissingError
from imgpipe.operate import parallel
from imgpipe.operate.dlq import route
from imgpipe.operate.dlq.route import NoWay, Route
from imgpipe.runtime.settings import CODE_HASH_VARIABLE, SETTINGS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgpipe.deploy.building import Branch
    from imgpipe.deploy.graph import Graph
    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.project import Project

NOT_UP = (
    "what rejected it was changed here, but still runs there: imgpipe up first; --force sends it "
    "all the same"
)


def chosen(
    project: Project, letters: Sequence[Letter], *, force: bool
) -> list[tuple[Letter, Route]]:
    """Return where each letter would go. One that would meet just the code and settings that rejected it stays.

    Raises CloudError.
    """
    running = project.graph if force else _running(project, letters)
    return [(it, _way(project.graph, running, it, force=force)) for it in letters]


def _way(declared: Graph, running: Graph, letter: Letter, *, force: bool) -> Route:
    way = route.chosen(running, letter, force=force)
    if way != NoWay(route.POINTLESS) or route.would_fail_again(declared, letter):
        return way
    return NoWay(NOT_UP)


def _running(project: Project, letters: Iterable[Letter]) -> Graph:
    """Return the graph with the code and settings that its functions have now, where rejected letters came from."""
    names = {letter.branch for letter in letters if letter.kind == "rejected"}
    branches = project.graph.branches
    asked = [it for it in branches if it.name in names and it.function is not None]
    found = {it.name: it for it in parallel.stream(lambda it: _there(project, it), asked, 8)}
    return replace(project.graph, branches=tuple(found.get(it.name, it) for it in branches))


def _there(project: Project, branch: Branch) -> Branch:
    client = project.cloud.client("lambda")
    try:
        answer = client.get_function_configuration(FunctionName=str(branch.function))
    except client.exceptions.ClientError as error:
        known = explain(error, f"function {branch.function}")
        if not isinstance(known, DeniedError | MissingError):
            raise known from error
        return branch  # what pipeline.yaml says is all there is to go by
    told = answer.get("Environment", {}).get("Variables", {})
    now = {name: told[name] for name in (CODE_HASH_VARIABLE, SETTINGS_VARIABLE) if name in told}
    return replace(branch, environment={**branch.environment, **now})
