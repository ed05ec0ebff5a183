"""What an upload needs: the steps that it never went through, or whose settings are others by now. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.errors import UsageError
from imgpipe.operate.audit.law import Upload, is_about, sequencer_for
from imgpipe.operate.branches import creators, settings_of, steps_for
from imgpipe.operate.times import iso
from imgpipe.runtime.settings import CODE_HASH_VARIABLE

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Branch, Graph

Row = Mapping[str, Any]
ENDED = frozenset({"done", "failed", "rejected"})

Verdict = Literal["due", "fresh", "under_way", "young", "no_row", "other_version", "removed"]
VERDICTS: Mapping[Verdict, str] = {
    "fresh": "up to date",
    "under_way": "still on the way",
    "young": "so young that they may be on the way (--grace)",
    "no_row": "without a row: imgpipe backfill",
    "other_version": "with a row about another version: imgpipe audit",
    "removed": "removed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The work on one version of one upload. `steps` maps each step to the hash of its settings; `nanodollars`
    is what the work is taken to cost. Without a key: an upload that was erased since, which nothing is sent for.
    """

    key: str
    version_id: str | None
    etag: str
    size: int
    at: str
    sequencer: str
    steps: Mapping[str, str]
    nanodollars: int = 0

    def dumps(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def loads(cls, line: str) -> Item:
        return cls(**json.loads(line))

    @classmethod
    def erased(cls) -> Item:
        """Return what stands in a run in the place of an upload that was erased: the others keep their places."""
        return cls(key="", version_id=None, etag="", size=0, at="", sequencer="", steps={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a run is about: which command, which steps, and whether only stale outputs are made again."""

    command: Literal["backfill", "reprocess"]
    step: str | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps that work on uploads, as declared: their branches, and the hashes of settings and code."""

    branches: tuple[Branch, ...]
    hashes: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    on: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph) -> Steps:
        branches = tuple(creators(graph))
        told = [(branch, settings_of(branch)) for branch in branches]
        return cls(
            branches,
            {
                step: str(chosen.get("hash", ""))
                for _, settings in told
                for step, chosen in settings.steps.items()
            },
            {
                step: branch.environment[CODE_HASH_VARIABLE]
                for branch in branches
                for step in branch.steps
            },
            {step: settings.on for branch, settings in told for step in branch.steps},
        )

    def working_on(self, key: str) -> tuple[str, ...]:
        return tuple(step for branch in self.branches for step in steps_for(branch, key))

    def check(self, step: str) -> None:
        """Raises UsageError for a step that doesn't work on uploads."""
        if step not in self.hashes:
            known = ", ".join(self.hashes) or "none"
            raise UsageError(f"step {step}", f"no such step works on uploads; these do: {known}")


def stale_steps(steps: Steps, row: Row, key: str) -> tuple[str, ...]:
    """Return the steps whose outputs in `row` were made with other settings than are declared now, and those that
    were added since the image was done.
    """
    found = []
    for step in steps.working_on(key):
        known = row["steps"].get(step)
        if known is None:
            late = row["status"] == "done" and steps.on[step] == "created"
        else:
            late = known["status"] == "done" and known["step_hash"] != steps.hashes[step]
        if late:
            found.append(step)
    return tuple(found)


def judge(
    task: Task, steps: Steps, upload: Upload, row: Row | None, *, young: bool
) -> tuple[Verdict, tuple[str, ...]]:
    """Say what is to be done about the latest version of an upload: the verdict, and the steps when it is `due`.

    `young`: its event may still be on its way.
    """
    if upload.latest.marker:
        return "removed", ()
    if task.command == "backfill":
        return _never_seen(steps, upload, row, young=young)
    if row is None:
        return "no_row", ()
    if not is_about(row, upload.latest):
        return "other_version", ()
    if row["status"] not in ENDED:
        return "under_way", ()
    wanted = _asked_for(task, steps, row, upload.key)
    return ("due", wanted) if wanted else ("fresh", ())


def _never_seen(
    steps: Steps, upload: Upload, row: Row | None, *, young: bool
) -> tuple[Verdict, tuple[str, ...]]:
    if row is not None:
        return "fresh", ()
    if young:
        return "young", ()
    wanted = tuple(step for step in steps.working_on(upload.key) if steps.on[step] == "created")
    return ("due", wanted) if wanted else ("fresh", ())


def _asked_for(task: Task, steps: Steps, row: Row, key: str) -> tuple[str, ...]:
    if task.stale:
        found = stale_steps(steps, row, key)
    else:
        found = tuple(
            step
            for step in steps.working_on(key)
            if steps.on[step] == "created" or step == task.step
        )
    return tuple(step for step in found if task.step in (None, step))


def item_of(steps: Steps, upload: Upload, row: Row | None, wanted: tuple[str, ...]) -> Item:
    """Return the work. Its event carries the row's sequencer for this version; the lowest where there is no row."""
    latest = upload.latest
    return Item(
        key=upload.key,
        version_id=latest.id,
        etag=latest.etag,
        size=latest.size,
        at=iso(latest.at),
        sequencer=sequencer_for(row, latest),
        steps={step: steps.hashes[step] for step in wanted},
    )
