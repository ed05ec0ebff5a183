"""The end of a timeline: which hop is broken or waited for, why, and what to run next. Pure.

Branches run beside each other, so several hops can be broken; the first one in the pipeline's order is named, but a
dead letter before all, because it says why, and its attempts led to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.operate import images
from imgpipe.operate.why import ask as asking
from imgpipe.operate.why.hop import Command, Hop
from imgpipe.operate.why.trace import trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.deploy.graph import Graph
    from imgpipe.operate.project import Project
    from imgpipe.operate.why.facts import Facts

End = Literal[
    "done", "removed", "erased", "superseded", "rejected", "failed", "in_flight", "lost", "never"
]
WELL = frozenset({"done", "removed", "erased", "superseded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A timeline and its end. `broken` is the hop to look at; none when all went well."""

    key: str
    version_id: str | None
    end: End
    hops: tuple[Hop, ...]
    broken: Hop | None
    reason: str
    next: tuple[Command, ...]
    unreadable: dict[str, str]

    @property
    def well(self) -> bool:
        return self.end in WELL and self.broken is None

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "version_id": self.version_id,
            "status": self.end,
            "well": self.well,
            "broken": {"stage": self.broken.stage, "name": self.broken.name}
            if self.broken
            else None,
            "reason": self.reason or None,
            "next": [list(command) for command in self.next],
            "timeline": [hop.as_json() for hop in self.hops],
            "unreadable": self.unreadable,
        }


def why(project: Project, key: str, version_id: str | None = None) -> Story:
    """Return the story of a version of `key`, the current one unless another is asked for."""
    return tell(project.graph, asking.ask(project, key, version_id))


def tell(graph: Graph, facts: Facts) -> Story:
    hops = trace(graph, facts)
    end = _end(facts, hops)
    hop = None if end == "superseded" else _culprit(hops)
    commands = hop.next if hop else _onward(graph, facts, end)
    return Story(
        key=facts.key,
        version_id=facts.subject.id if facts.subject else None,
        end=end,
        hops=tuple(hops),
        broken=hop,
        reason=_reason(hop),
        next=commands,
        unreadable=dict(facts.unreadable),
    )


def _culprit(hops: Sequence[Hop]) -> Hop | None:
    """Return the hop to look at: the first break that isn't made good later, else what is waited for."""
    ended_well = {hop.name for hop in hops if hop.stage == "attempt" and hop.state == "ok"}
    row_done = any(hop.stage == "row" and hop.text.startswith(("done", "removed")) for hop in hops)
    broken = [
        hop
        for hop in hops
        if hop.state == "broken"
        and not (hop.stage == "attempt" and (row_done or hop.name in ended_well))
    ]
    letters = [hop for hop in broken if hop.stage == "dead letter"]
    wiring = [hop for hop in broken if hop.stage in {"object", "event", "delivery", "queue"}]
    waiting = [hop for hop in hops if hop.state == "waiting"]
    return next(iter([*wiring, *letters, *_latest_first(broken), *waiting]), None)


def _latest_first(broken: Sequence[Hop]) -> list[Hop]:
    """Put the latest failed attempt first; what isn't an attempt keeps its place after them."""
    attempts = [hop for hop in broken if hop.stage == "attempt"]
    return [*reversed(attempts), *(hop for hop in broken if hop.stage != "attempt")]


def _end(facts: Facts, hops: Sequence[Hop]) -> End:
    if not facts.arrived:
        return "never"
    if facts.erased:
        return "erased"
    subject = facts.subject
    if subject is not None and not subject.latest:
        return "superseded"
    row = facts.row_of_subject
    if row is not None and row["status"] in {"done", "rejected", "failed", "removed"}:
        status: End = row["status"]
        return status
    if any(hop.stage == "dead letter" for hop in hops):
        return "failed"
    lost = any(hop.state == "broken" and hop.stage != "attempt" for hop in hops)
    return "lost" if lost else "in_flight"


def _reason(hop: Hop | None) -> str:
    if hop is None:
        return ""
    return hop.reason or hop.text


def _onward(graph: Graph, facts: Facts, end: End) -> tuple[Command, ...]:
    short = images.short(graph.prefix, facts.key)
    outputs = (facts.row_of_subject or {}).get("outputs") or {}
    if end == "done" and outputs:
        return (("imgpipe", "download", short, "--variant", next(iter(outputs))),)
    return (("imgpipe", "why", short),) if end == "superseded" else ()
