"""One letter of each group first; the others of a group only when its first one worked.

A canary has worked when its image's row says that the step has been done since it was sent. It hasn't when the row says
that the step failed again or refused it. When nothing is heard in time nothing is concluded: the group stays where it
is. What the row said before is remembered, so no clocks are compared.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.operate import rows
from imgpipe.operate.dlq.groups import Group, fingerprint, grouped
from imgpipe.operate.dlq.mover import Outcome
from imgpipe.operate.dlq.route import NoWay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.dlq.route import Route
    from imgpipe.operate.project import Project

POLL_S = 0.5
Before = Mapping[str, Mapping[str, str]]
"""When each step of an image last said something, by key and step."""
Verdict = Literal["worked", "failed", "silent"]
Way = tuple["Letter", "Route"]


@dataclass(frozen=True, slots=True)
class Tried:
    """How a group's canary fared."""

    group: Group
    letter: Letter
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def lead(
    project: Project,
    ways: Sequence[Way],
    send: Callable[[Sequence[Way]], list[Outcome]],
    timeout_s: float,
    tell: Callable[[Tried], None],
) -> tuple[list[Way], list[Outcome]]:
    """Send one letter of each group and wait; return what may follow, and what became of the others.

    `tell` hears how each one fared, as soon as it is known.
    """
    known = {letter.id: way for letter, way in ways}
    movable = [letter for letter, way in ways if not isinstance(way, NoWay)]
    pairs = list(canaries(movable).values())
    said = before(project, [letter for _, letter in pairs])
    first = send([(letter, known[letter.id]) for _, letter in pairs])
    moved = {outcome.letter.id for outcome in first if outcome.status == "moved"}
    trouble = {group.id: "it could not be sent" for group, _ in pairs}
    for tried in watch(project, [pair for pair in pairs if pair[1].id in moved], said, timeout_s):
        tell(tried)
        trouble[tried.group.id] = "" if tried.verdict == "worked" else tried.why or tried.verdict
    ahead = {letter.id for _, letter in pairs}
    follow, left = [], []
    for letter, way in ways:
        group = fingerprint(letter)
        if letter.id in ahead:
            continue
        if not isinstance(way, NoWay) and trouble[group]:  # why, was told once: a thousand may stay
            words = f"the canary of its group {group} did not end well"
            left.append(Outcome(letter, "left", "", words))
        else:
            follow.append((letter, way))
    return follow, [*first, *left]


def canaries(letters: Iterable[Letter]) -> dict[str, tuple[Group, Letter]]:
    """Return one letter of each group: the newest that is about an image, whose trouble is the freshest."""
    made = {}
    for group in grouped(letters):
        about = [letter for letter in group.letters if letter.key]
        made[group.id] = (group, (about or group.letters)[-1])
    return made


def before(project: Project, letters: Iterable[Letter]) -> Before:
    """Return what the rows of `letters` say now, before anything is sent."""
    known = rows.by_keys(project, {letter.key for letter in letters if letter.key}, consistent=True)
    return {
        key: {name: str(step["at"]) for name, step in row["steps"].items()}
        for key, row in known.items()
    }


def watch(
    project: Project,
    sent: Sequence[tuple[Group, Letter]],
    said: Before,
    timeout_s: float,
    clock: Clock | None = None,
) -> Iterator[Tried]:
    """Yield how each canary that was sent fared, as soon as its row tells."""
    ticking = clock or Clock()
    deadline = ticking.now() + timeout_s
    open_ = [(group, letter) for group, letter in sent if letter.key]
    for group, letter in sent:
        if not letter.key:
            yield Tried(group, letter, "silent", "it is about no image, so no row will tell")
    while open_ and ticking.now() < deadline:
        known = rows.by_keys(project, {str(letter.key) for _, letter in open_}, consistent=True)
        still = []
        for group, letter in open_:
            tried = _tried(group, letter, known.get(str(letter.key)), said)
            if tried:
                yield tried
            else:
                still.append((group, letter))
        open_ = still
        if open_:
            ticking.sleep(POLL_S)
    for group, letter in open_:
        yield Tried(group, letter, "silent", f"nothing was heard of it in {timeout_s:g} s")


def _tried(
    group: Group, letter: Letter, row: Mapping[str, Any] | None, said: Before
) -> Tried | None:
    """Return the verdict, if the row knows of an attempt that it didn't know of before."""
    if row is None:
        return None
    if letter.version_id not in (None, row["version_id"]):
        return Tried(group, letter, "silent", "a newer upload took the image's place")
    old = said.get(str(letter.key), {})
    steps = {name: row["steps"][name] for name in letter.steps if name in row["steps"]}
    fresh = [step for name, step in steps.items() if str(step["at"]) != old.get(name)]
    bad = [step for step in fresh if step["status"] in {"failed", "rejected"}]
    if bad:
        error = bad[0].get("error") or {}
        why = str(error.get("message") or error.get("reason") or "")
        return Tried(group, letter, "failed", why)
    if fresh and all(step["status"] == "done" for step in steps.values()):
        return Tried(group, letter, "worked")
    return None
