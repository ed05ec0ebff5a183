"""Notes under `ops/` that name a key: rescued letters, lists of runs, checkpoints of audits.

A rescued letter goes. A run keeps its place for the upload, without a word of it, so that what is left of the run finds
its own place again. A checkpoint goes: the audit begins anew. Receipts of erasures stay, as they are asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.names import OPERATIONS
from imgpipe.operate import ops, parallel
from imgpipe.operate.audit.walk import FOLDER as AUDITS
from imgpipe.operate.backfill.manifest import FOLDER as RUNS
from imgpipe.operate.backfill.work import Item
from imgpipe.operate.dlq.rescue import FOLDER as RESCUED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from imgpipe.operate.project import Project

FOLDERS = (RESCUED, f"{RUNS}/", f"{AUDITS}/")
WORKERS = 8
ERASED = "(erased)"


@dataclass(frozen=True, slots=True)
class Note:
    """A note, and what of it is about the key."""

    name: str  # below `ops/`
    what: str

    def as_json(self) -> dict[str, Any]:
        return {"name": f"{OPERATIONS}/{self.name}", "what": self.what}


def naming(project: Project, key: str, outputs: Collection[str] = ()) -> tuple[Note, ...]:
    """Return the notes that name `key` or one of its outputs. Reads every list of every run: a GET a 1,000 images."""
    names = (name for folder in FOLDERS for name in ops.names(project, folder))
    read = partial(_look, project, {key, *outputs})
    return tuple(note for note in parallel.stream(read, names, WORKERS) if note)


def remove(project: Project, note: Note, key: str) -> None:
    """Take `key` out of a note, or the note away. Can be done twice. Raises ClientError when somebody has changed the
    note since it was read: a run that is being sent.
    """
    if not note.name.startswith(f"{RUNS}/"):
        ops.remove(project, note.name)
        return
    s3, bucket = project.cloud.client("s3"), project.graph.ops_bucket
    name = f"{OPERATIONS}/{note.name}"
    answer = s3.get_object(Bucket=bucket, Key=name)
    text = answer["Body"].read().decode()
    lines = _without(key, text) if _is_list(name) else [_nameless(text)]
    body = "".join(f"{line}\n" for line in lines).encode()
    s3.put_object(
        Bucket=bucket, Key=name, Body=body, ContentType="text/plain", IfMatch=answer["ETag"]
    )


def _look(project: Project, words: Collection[str], name: str) -> Note | None:
    s3 = project.cloud.client("s3")
    try:
        answer = s3.get_object(Bucket=project.graph.ops_bucket, Key=f"{OPERATIONS}/{name}")
    except s3.exceptions.NoSuchKey:
        return None
    text = answer["Body"].read().decode()
    if not any(_spelled(word, text) for word in words):
        return None
    if name.startswith(RESCUED):
        return Note(name, "a dead letter, archived")
    if _is_list(name):
        return Note(name, "its place in the list of a run")
    told = (
        "a run of this image alone"
        if name.startswith(f"{RUNS}/")
        else "an interrupted audit's place"
    )
    return Note(name, told)


def _spelled(word: str, text: str) -> bool:
    """Whether a JSON text has `word` as one of its texts, in either of the ways it may be spelled."""
    return json.dumps(word) in text or json.dumps(word, ensure_ascii=False) in text


def _is_list(name: str) -> bool:
    return name.endswith(".jsonl")


def _without(key: str, text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield Item.erased().dumps() if Item.loads(line).key == key else line


def _nameless(text: str) -> str:
    """Return a run's note without the image that it was about."""
    return json.dumps({**json.loads(text), "prefix": ERASED}, indent=2)
