"""Which version each function runs, and which it ran before the last `up`: what a `rollback` of all undoes.

Lambda gives an unchanged function the number that it has, so the versions alone don't tell what an `up` changed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from imgpipe.operate import ops

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from imgpipe.operate.project import Project

NOTE = "last-up.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What Lambda answered for a function. `before` is the newest version that was known until then; None if none."""

    name: str  # the function's short name
    number: int
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastUp:
    """`before` holds the functions whose version the `up` changed; `changed` is all that it did, in words."""

    run: str = ""
    running: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    changed: Sequence[str] = ()


def read(project: Project) -> LastUp | None:
    """Return the note; None where no `up` has left one."""
    note = ops.read(project, NOTE)
    return LastUp(**note) if note else None


def write(
    project: Project,
    run: str,
    published: Sequence[Published],
    changed: Sequence[str],
    created: Collection[str],
) -> None:
    """Note an `up` that has just ended. A function of `created` has nothing to go back to."""
    known = read(project) or LastUp()
    running, before = dict(known.running), {}
    for one in published:
        was = running.get(one.name, one.before)
        if was is not None and was != one.number and one.name not in created:
            before[one.name] = was
        running[one.name] = one.number
    ops.write(
        project,
        NOTE,
        asdict(LastUp(run=run, running=running, before=before, changed=list(changed))),
    )


def went_back(project: Project, name: str, number: int) -> None:
    """Note that a function runs version `number` again: the next `up` changes it from there."""
    known = read(project) or LastUp()
    note = replace(known, running={**known.running, name: number})
    ops.write(project, NOTE, asdict(note))
