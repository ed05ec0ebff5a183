"""The law of conservation for one key: a version, its row, its dead letters -> one status and what is wrong. Pure.

An event that is emitted again carries the row's sequencer when the row is about that version, and the lowest when there
is no row. When the row is about an older version, or is a tombstone, the lowest would lose to it for ever; so then it
carries the one just after the row's: higher than all that the row knows, and lower than whatever S3 says next,
because S3's own sequencers differ long before the 64th digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.operate.times import from_iso
from imgpipe.runtime.matching import Rule, matches
from imgpipe.runtime.row import normal_sequencer

if TYPE_CHECKING:
    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.why.facts import Version

Status = Literal[
    "done", "rejected", "failed", "in_flight", "removed", "superseded", "unheard", "none"
]
STATUSES: tuple[Status, ...] = (
    "done",
    "rejected",
    "failed",
    "in_flight",
    "removed",
    "superseded",
    "unheard",
    "none",
)
Kind = Literal["missing", "before", "stale", "unmade", "letter", "letterless", "orphan", "unsent"]
KINDS: Mapping[Kind, str] = {
    "missing": "an upload without a status: nothing will come of it by itself",
    "before": "an upload from before the pipeline, which nobody told of it: imgpipe backfill",
    "stale": "a row about an upload that was removed",
    "unmade": "an output that the row names and that isn't there",
    "letter": "a dead letter that the row doesn't know of",
    "letterless": "rejected or failed, and no dead letter is left to redrive",
    "orphan": "an output that no row names",
    "unsent": "a notice that was claimed and never sent",
}
UNHEARD = "not heard of: pipeline.yaml asks for no such names"
LETTER_DAYS = 13
"""Dead letters are kept for 14 days from the first sending; a day before, one that is missing may just have expired."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A key as listed: its latest version or delete marker, and how many older versions there are."""

    key: str
    latest: Version
    older: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that breaks the law. `steps` are those to do again; `outputs` and `letters` what it is about, and
    `owners` the uploads that an output may be of. Where nothing is left to do, `done` are the steps that the row knows:
    it waits for one that is no longer in pipeline.yaml.
    """

    kind: Kind
    key: str
    why: str
    version_id: str | None = None
    steps: tuple[str, ...] = ()
    sequencer: str = ""
    outputs: tuple[str, ...] = ()
    letters: tuple[Letter, ...] = ()
    upload: Upload | None = None
    done: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "key": self.key,
            "version_id": self.version_id,
            "why": self.why,
            "steps": list(self.steps),
            "outputs": list(self.outputs),
            "letters": [letter.id for letter in self.letters],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """What a pipeline expects. `endings` are all that its uploads may have; none means any. `busy` are the steps for
    which messages wait somewhere, or results do. `since` is when its table was made: of what is older, nobody was told;
    None: not known.
    """

    steps: tuple[str, ...]
    matches: Mapping[str, Rule]  # of steps that work on some uploads
    variants: Mapping[str, str]  # variant -> the step that makes it
    now: datetime
    grace: timedelta
    busy: frozenset[str] = frozenset()
    tidies: bool = True
    since: datetime | None = None
    endings: tuple[str, ...] = ()

    def hears(self, key: str) -> bool:
        """Say whether an upload called `key` is one to the pipeline, or just lies in its bucket."""
        return bool(self.steps_for(key)) and (not self.endings or key.endswith(self.endings))

    def steps_for(self, key: str) -> tuple[str, ...]:
        return tuple(
            it for it in self.steps if it not in self.matches or matches(self.matches[it], key)
        )

    def old(self, moment: datetime | None) -> bool:
        return moment is None or self.now - moment >= self.grace


def judge(
    law: Law, upload: Upload, row: Row | None, letters: tuple[Letter, ...]
) -> tuple[Status, Finding | None]:
    """Return the status of the latest version, and what is wrong with it, if anything."""
    if upload.latest.marker:
        return "removed", _of_removed(law, upload, row)
    about = row is not None and is_about(row, upload.latest)
    if row is not None and about and row["status"] in {"done", "rejected", "failed"}:
        status: Status = row["status"]
        return status, _of_ended(law, upload, row, letters)
    if letters:
        return _of_letters(upload, row, letters)
    if not about and not law.hears(upload.key):
        return "unheard", None
    return _of_unfinished(law, upload, row if about else None, row)


def is_about(row: Row, version: Version) -> bool:
    """Say whether the row is about this version; without versioning, whether it has the same ETag."""
    if row["status"] == "removed":
        return False
    if version.id is None and row["version_id"] is None:
        return bool(row["etag"] == version.etag)
    return bool(row["version_id"] == version.id)


def sequencer_for(row: Row | None, version: Version) -> str:
    """Return what an event about `version` must carry to be heard, and to lose to all that is really newer."""
    if row is None:
        return ""
    return str(row["sequencer"]) if is_about(row, version) else just_after(row["sequencer"])


def just_after(sequencer: str) -> str:
    """Return the lowest sequencer above this one."""
    text = normal_sequencer(sequencer)
    try:
        return f"{int(text, 16) + 1:0{len(text)}X}"
    except ValueError:  # not S3's
        return f"{text}1"


def _of_removed(law: Law, upload: Upload, row: Row | None) -> Finding | None:
    stale = row is not None and row["status"] != "removed" and law.old(upload.latest.at)
    if row is None or not stale or not law.tidies or "removed" in law.busy:
        return None
    return Finding(
        kind="stale",
        key=upload.key,
        version_id=upload.latest.id,
        why=f"it was removed, and its row says {row['status'].replace('_', ' ')}",
        sequencer=str(row["sequencer"]),
        upload=upload,
    )


def _of_ended(law: Law, upload: Upload, row: Row, letters: tuple[Letter, ...]) -> Finding | None:
    if row["status"] == "done" or letters:
        return None
    ended = from_iso(row["updated_at"])
    if not law.old(ended) or (ended and law.now - ended > timedelta(days=LETTER_DAYS)):
        return None
    ended_so = [name for name, step in row["steps"].items() if step["status"] == row["status"]]
    steps = tuple(step for step in ended_so if step in law.steps)
    return Finding(
        kind="letterless",
        key=upload.key,
        version_id=upload.latest.id,
        why=f"{row['status']} ({row.get('reason', 'no reason')}), and no dead letter holds it",
        steps=steps,
        sequencer=str(row["sequencer"]),
        upload=upload,
        done=() if steps else tuple(row["steps"]),
    )


def _of_letters(
    upload: Upload, row: Row | None, letters: tuple[Letter, ...]
) -> tuple[Status, Finding]:
    rejected = any(letter.kind == "rejected" for letter in letters)
    where = ", ".join(sorted({letter.queue for letter in letters}))
    return "rejected" if rejected else "failed", Finding(
        kind="letter",
        key=upload.key,
        version_id=upload.latest.id,
        why=f"a dead letter in {where}, and no row says so",
        sequencer=sequencer_for(row, upload.latest),
        letters=letters,
        upload=upload,
    )


def _of_unfinished(
    law: Law, upload: Upload, about: Row | None, row: Row | None
) -> tuple[Status, Finding | None]:
    known = about["steps"] if about else {}
    left = tuple(
        step for step in law.steps_for(upload.key) if known.get(step, {}).get("status") != "done"
    )
    last = from_iso(about["updated_at"]) if about else upload.latest.at
    if not law.old(last) or law.busy & set(left) or "results" in law.busy:
        return "in_flight", None
    why = f"nothing is left that would do {', '.join(left)}"
    if about and not left:
        why = "all that pipeline.yaml asks for is done; it waits for a step that is gone"
    if about is None:
        why = "no row" if row is None else "its row is about another version"
        why += ", no dead letter, and no message waits"
    before = row is None and law.since is not None and upload.latest.at < law.since
    return "none", Finding(
        kind="before" if before else "missing",
        key=upload.key,
        version_id=upload.latest.id,
        why="it is older than the pipeline" if before else why,
        steps=left,
        sequencer=sequencer_for(row, upload.latest),
        upload=upload,
        done=tuple(known) if not left else (),
    )


def unmade(law: Law, upload: Upload, row: Row, lost: tuple[str, ...]) -> Finding:
    """Return the finding that `lost`, outputs that the row of `upload` names, aren't there."""
    variants = [name for name, made in row["outputs"].items() if made["key"] in lost]
    steps = dict.fromkeys(law.variants[name] for name in variants if name in law.variants)
    return Finding(
        kind="unmade",
        key=upload.key,
        version_id=upload.latest.id,
        why=f"the row names {', '.join(variants)}, and the bucket doesn't hold it",
        steps=tuple(steps),
        sequencer=str(row["sequencer"]),
        outputs=lost,
        upload=upload,
    )
