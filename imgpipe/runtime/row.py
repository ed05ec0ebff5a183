"""The row of an image, as a pure function of the results that were heard, in whatever order and
however often.

A row is about one generation of a key: the upload with the highest sequencer. Everything in it is
joined from results by operations that don't care for order (the best of two, the union of two), so
all deliveries converge:

    lower sequencer                    loses; its outputs are to be deleted
    higher sequencer                   replaces the row; the old outputs are to be deleted
    the same version, or sequencer     step by step: done, rejected, failed, retrying; then time
    a removal                          is a tombstone, and wins over a result with its own sequencer

A version can have more than one sequencer: S3's, and that of an event which `audit` sent because S3's seemed lost.
Its outputs have the same keys whichever came, so what one of the two made must not be deleted for the other's sake.

What is read off a row, rather than kept in it: its status, and that a step which used up its
attempts has failed.

Two forms: the stored one (`to_item`: a DynamoDB item, steps with their own outputs and facts) and
the one that people and programs read (`view`, `from_item`: outputs and facts of all steps
together).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from imgpipe.runtime import items
from imgpipe.runtime.results import dumps

SK_IMAGE = "image"
SHARDS = 4
INDEX = "by-status"
TOMBSTONE_DAYS = 90
"""Longer than any late delivery can be:

4 days in a queue, 14 in its dead-letter queue, and time to redrive.
"""
SEQUENCER_WIDTH = 64
MAX_ATTEMPT_IDS = 20

RowStatus = Literal["removed", "rejected", "failed", "done", "in_flight"]
FINAL = frozenset({"rejected", "failed", "done"})
_RANK = {"retrying": 0, "failed": 1, "rejected": 2, "done": 3}
_STEP_FIELDS = (
    "status",
    "at",
    "ms",
    "max_attempts",
    "function",
    "step_hash",
    "settings_hash",
    "code_hash",
    "outputs",
    "facts",
    "error",
)
_HEAD_FIELDS = ("updated_at", "version_id", "etag", "size", "uploaded_at", "settings_hash")

Row = dict[str, Any]
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Effects:
    """What the writer owes the rest of the pipeline after a merge.

    `delete`: outputs that no row will ever name again. `of`: the version that they were made of, when
    all of it lost to another; should it turn out to be the current one, its own results will name
    them. `announce`: this result may be the one that ended the image.
    """

    delete: tuple[str, ...] = ()
    of: str | None = None
    announce: bool = False


def normal_sequencer(text: str) -> str:
    """Return `text` so that plain string order is S3's order:

    the shorter is padded on the right, case is ignored.
    """
    return text.upper().ljust(SEQUENCER_WIDTH, "0")


def shard(key: str) -> int:
    """Spread the keys of one status over partitions, so that the index never gets hot."""
    return zlib.crc32(key.encode()) % SHARDS


def merge(row: Row | None, result: Result) -> tuple[Row, Effects]:
    """Join `result` into `row` and say what follows from it. Neither argument is changed."""
    heard = _as_row(result)
    if row is None:
        return heard, Effects(announce=_final(heard))
    joined = _join(row, heard)
    gone = tuple(sorted((outputs(row) | outputs(heard)) - outputs(joined)))
    announce = _worth_announcing(row, heard, joined)
    if _same_upload(row, heard):
        return joined, Effects(gone, announce=announce)
    return joined, Effects(gone, min(row, heard, key=_place)["version_id"], announce)


def status(row: Row) -> RowStatus:
    """Return the one status that this version of the image has."""
    if row["removed"]:
        return "removed"
    steps = {name: step_status(step) for name, step in row["steps"].items()}
    finished = {name for name, ended in steps.items() if ended == "done"}
    if any(finished.issuperset(expected) for expected in row["expected"]):
        return "done"  # also where a step failed that is no longer in the pipeline
    for worst in ("rejected", "failed"):
        if worst in steps.values():
            return worst
    return "in_flight"


def step_status(step: Mapping[str, Any]) -> str:
    """Return the step's status; a step that was tried as often as it may be and never succeeded has
    failed. Each message counts for itself: two copies of one have both their attempts left.
    """
    if step["status"] == "retrying" and _most_attempts(step["attempts"]) >= step["max_attempts"]:
        return "failed"
    return str(step["status"])


def _most_attempts(attempts: Iterable[str]) -> int:
    """Return how often the message was tried that was tried most: the rest of an attempt's name is which it was."""
    return max(Counter(name.rpartition(":")[0] for name in attempts).values(), default=0)


def reason(row: Row) -> str | None:
    """Return why the image was rejected or failed: a `Reason`, or what the failed step said."""
    ended = status(row)
    if ended not in ("rejected", "failed"):
        return None
    errors = [step.get("error") or {} for step in _steps(row) if step_status(step) == ended]
    found = [
        error.get("reason") or f"{error.get('class', '')}: {error.get('message', '')}"
        for error in errors
    ]
    return next((text for text in found if text.strip(": ")), ended)


def view(row: Row) -> dict[str, Any]:
    """Return the row as people and programs read it (`imgpipe metadata show --json`)."""
    shown: dict[str, Any] = {
        "key": row["key"],
        "status": status(row),
        "version_id": row["version_id"],
        "etag": row["etag"],
        "sequencer": row["sequencer"],
        "size": row["size"],
        "uploaded_at": row["uploaded_at"],
        "updated_at": row["updated_at"],
        "settings_hash": row["settings_hash"],
        "steps": {name: _view_step(step) for name, step in sorted(row["steps"].items())},
        "outputs": {
            name: made for step in _steps(row) for name, made in sorted(step["outputs"].items())
        },
        "facts": {name: fact for step in _steps(row) for name, fact in step["facts"].items()},
    }
    why = reason(row)
    return {**shown, "reason": why} if why else shown


def to_item(row: Row, rev: int) -> dict[str, Any]:
    """Return the DynamoDB item of `row`, in the wire's attribute format."""
    shown = status(row)
    fields: dict[str, Any] = {
        "pk": row["key"],
        "sk": SK_IMAGE,
        "rev": rev,
        "status": shown,
        "status_shard": f"{shown}#{shard(row['key'])}",
        **{name: value for name, value in row.items() if name != "key"},
    }
    if row["removed"]:
        fields["expires_at"] = _epoch(row["updated_at"]) + TOMBSTONE_DAYS * 86_400
    return items.encode(fields)


def load(item: Mapping[str, Any]) -> tuple[Row, int]:
    """Return the row that `item` holds, and its revision."""
    fields = items.decode(item)
    names = ("sequencer", "removed", *_HEAD_FIELDS, "steps", "expected")
    row = {"key": fields["pk"], **{name: fields[name] for name in names}}
    return row, int(fields["rev"])


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the view of the row that `item` (in the wire's attribute format) holds."""
    return view(load(item)[0])


def _as_row(result: Result) -> Row:
    """Return the row that `result` alone makes: the unit that `_join` joins."""
    gone = result["kind"] == "removed"
    head = {
        "updated_at": result["at"],
        "version_id": result.get("version_id"),
        "etag": result.get("etag", ""),
        "size": int(result.get("size") or 0),
        "uploaded_at": result.get("uploaded_at") or result["at"],  # the index needs one
        "settings_hash": result.get("pipeline_hash") or result.get("settings_hash", ""),
    }
    return {
        "key": result["key"],
        "sequencer": normal_sequencer(result.get("sequencer") or ""),
        "removed": gone,
        **head,
        "steps": {} if gone else {result["step"]: _as_step(result)},
        "expected": [] if gone else [sorted(result["expected"])],
    }


def _as_step(result: Result) -> dict[str, Any]:
    defaults: dict[str, Any] = {"ms": 0, "outputs": {}, "facts": {}, "error": None}
    step = {name: result.get(name, defaults.get(name, "")) for name in _STEP_FIELDS}
    return {**step, "attempts": [result["attempt_id"]]}


def _join(one: Row, other: Row) -> Row:
    if not _same_upload(one, other):
        return max(one, other, key=_place)
    head = max((_head(one), _head(other)), key=dumps)
    names = sorted(one["steps"].keys() | other["steps"].keys())
    steps = {name: _join_steps(one["steps"].get(name), other["steps"].get(name)) for name in names}
    expected = sorted({tuple(each) for row in (one, other) for each in row["expected"]})
    place = {"sequencer": max(one["sequencer"], other["sequencer"])}
    return {**one, **head, **place, "steps": steps, "expected": [list(each) for each in expected]}


def _same_upload(one: Row, other: Row) -> bool:
    """Whether two rows are about one upload. Without versioning only the sequencer tells; two removals are as good
    as one.
    """
    if one["removed"] or other["removed"]:
        return bool(one["removed"] == other["removed"] and one["sequencer"] == other["sequencer"])
    return generation(one) == generation(other)


def generation(row: Mapping[str, Any]) -> str:
    """Return what names an upload among those of its key, in a row or in its view."""
    return str(row["version_id"] or row["sequencer"])


def _place(row: Row) -> tuple[str, bool, str, str]:
    """Order uploads and removals of a key. The time decides only between events that `audit` sent without knowing
    a sequencer.
    """
    return row["sequencer"], row["removed"], row["uploaded_at"], generation(row)


def _head(row: Row) -> dict[str, Any]:
    """Return what the latest result of a generation says of it; `updated_at` comes first, so it
    decides.
    """
    return {name: row[name] for name in _HEAD_FIELDS}


def _join_steps(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any]:
    both = [step for step in (one, other) if step]
    best = max(both, key=_step_order)
    attempts = {identifier for step in both for identifier in step["attempts"]}
    return {**best, "attempts": sorted(attempts)[:MAX_ATTEMPT_IDS]}


def _step_order(step: Mapping[str, Any]) -> tuple[int, str, str]:
    """Order by rank, then time; the rest only so that no two different steps are equal."""
    return _RANK[step["status"]], step["at"], dumps({name: step[name] for name in _STEP_FIELDS})


def _worth_announcing(before: Row, heard: Row, after: Row) -> bool:
    """Say whether to publish `completed`.

    Yes when the image has just ended, and also when the result was heard before: then it was
    delivered again, which happens when the publishing after the write failed. Never for a result
    that lost to a newer upload.
    """
    if not _final(after) or not _same_upload(heard, after):
        return False
    ended = not _same_upload(before, after) or status(before) != status(after)
    return ended or before == after or _heard_before(before, heard)


def _heard_before(row: Row, heard: Row) -> bool:
    """Whether the row knows this very attempt. What is expected may be said differently by now: after an edit."""
    return any(
        set(step["attempts"]) <= set(row["steps"].get(name, {}).get("attempts", ()))
        for name, step in heard["steps"].items()
    )


def _final(row: Row) -> bool:
    return status(row) in FINAL


def _steps(row: Row) -> Iterable[dict[str, Any]]:
    return (step for _, step in sorted(row["steps"].items()))


def outputs(row: Row) -> set[str]:
    """Return the keys of every output that `row` names."""
    return {made["key"] for step in row["steps"].values() for made in step["outputs"].values()}


def _view_step(step: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: step[name] for name in ("ms", "at", "code_hash", "step_hash")}
    seen = {"status": step_status(step), **shown, "attempts": len(step["attempts"])}
    return {**seen, "error": step["error"]} if step["error"] else seen


def _epoch(iso: str) -> int:
    return int(datetime.fromisoformat(iso).astimezone(UTC).timestamp())
