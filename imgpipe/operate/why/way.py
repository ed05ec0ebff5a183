"""One image's way: the questions about it that several hops share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.names import WRITER
from imgpipe.deploy.resources import Key, Mapping, Permission, Subscription
from imgpipe.operate import branches, images
from imgpipe.operate.why.facts import Attempt, Depth, Facts
from imgpipe.operate.why.hop import Command, Hop

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Branch, Graph
    from imgpipe.operate.dlq.letters import Letter

PATIENCE = timedelta(seconds=90)
"""How long an event may be on its way before its absence is a fault: S3 says seconds, rarely more than a minute."""


class Way:
    """What the facts say about one image in one pipeline."""

    def __init__(self, graph: Graph, facts: Facts) -> None:
        self.graph, self.facts = graph, facts
        self.short = images.short(graph.prefix, facts.key)
        self.removed = facts.subject is None or facts.subject.marker
        wanted = branches.tidiers(graph) if self.removed else branches.creators(graph)
        self.branches = [it for it in wanted if branches.steps_for(it, facts.key)]
        self.row_view = facts.row_of_subject
        self.heal: tuple[Command, ...] = (("imgpipe", "audit", self.short, "--heal"),)
        self.mend: tuple[Command, ...] = (("imgpipe", "up"), *self.heal)

    @property
    def age(self) -> timedelta:
        subject = self.facts.subject
        return self.facts.now - subject.at if subject else PATIENCE * 2

    @property
    def fresh(self) -> bool:
        return self.age < PATIENCE

    def _of_branches(self) -> list[Attempt]:
        names = {branch.name for branch in self.branches}
        return [it for it in self.facts.attempts if it.run.function in names]

    def _attempts_of(self, name: str) -> list[Attempt]:
        return [it for it in self.facts.attempts if it.run.function == name]

    def _letters_of(self, branch: Branch) -> list[Letter]:
        return [it for it in self.facts.letters if it.branch == branch.name]

    def _depth(self, branch: Branch) -> Depth:
        return self.facts.depths.get(branch.queue or "", Depth())

    def _writer(self) -> Branch:
        return next(it for it in self.graph.branches if it.name == WRITER)

    def _short(self, full: str | None) -> str:
        return next((short for short, name in self.graph.queues.items() if name == full), "")

    def _row_steps(self) -> dict[str, dict[str, Any]]:
        row = self.row_view
        if row is not None and row["status"] == "removed":
            return {"removed": {}}
        return dict((row or {}).get("steps") or {})

    def _steps_told(self, branch: Branch) -> dict[str, dict[str, Any]]:
        known = self._row_steps()
        return {name: known[name] for name in branch.steps if known.get(name)}

    def _expected(self) -> list[str]:
        key = self.facts.key
        return [step for it in self.branches for step in branches.steps_for(it, key)]

    def _results_said(self) -> dict[str, datetime]:
        """Map each step to when it said that it is done or rejected, in its log."""
        return {
            str(line.told["step"]): line.at
            for attempt in self._of_branches()
            for line in attempt.lines
            if line.told.get("event") in {"done", "rejected"} and line.told.get("step")
        }

    def _deliverer(self, branch: Branch) -> str:
        return "the topic" if branch.topic else "S3"

    def _undelivered(self, branch: Branch) -> str:
        """Return what keeps the topic from reaching the branch."""
        return self._wiring(*self._delivery(branch))

    def _delivery(self, branch: Branch) -> Iterator[Key]:
        targets = {branch.queue, branch.function} - {None}
        for it in self.graph.of(Subscription):
            if it.endpoint in targets:
                yield it.key
        if branch.queue:
            yield Key("queue", branch.queue)
        else:
            yield from (
                it.key for it in self.graph.of(Permission) if it.function == branch.function
            )
            yield from self._feed(branch)

    def _feed(self, branch: Branch) -> Iterator[Key]:
        """Yield what takes messages from the branch's queue."""
        for it in self.graph.of(Mapping):
            if it.function == branch.function:
                yield it.key
        yield Key("role", branch.role)
        if branch.function:
            yield Key("function", branch.function)

    def _wiring(self, *keys: Key) -> str:
        """Return what is wrong with any of these. A function that differs still runs, unless it may not."""
        for key in keys:
            said = self.facts.wiring.get(key)
            differs = said and said != "it is not there"
            if said and not (differs and key.kind == "function" and not self._choked(said)):
                return f"{key.kind.replace('_', ' ')} {key.name}: {said}"
        return ""

    def _choked(self, said: str) -> bool:
        return "reserved_concurrency 0" in said

    def _broken(
        self, stage: str, name: str, text: str, reason: str, commands: Iterable[Command]
    ) -> Hop:
        return Hop(
            stage=stage, name=name, state="broken", text=text, reason=reason, next=tuple(commands)
        )

    def _waiting(self, stage: str, name: str, text: str) -> Hop:
        watch: Command = ("imgpipe", "status", "--watch")
        return Hop(stage=stage, name=name, state="waiting", text=text, next=(watch,))
