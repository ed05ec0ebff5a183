"""What is known of an image: its row, and what the row can't know.

A row tells what steps have said. Two things no step says: that an upload is there and nothing has
been heard of it yet, and that a function was killed over it. So where the row is missing or
unfinished, S3 and the dead letters are asked: a dead letter without a failed row counts as failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgpipe.cloud import error_code, explain
from imgpipe.errors import MissingError
from imgpipe.operate import images, rows
from imgpipe.operate.dlq import causes, find, queues
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.project import Project
    from imgpipe.operate.rows import Row

CAMERA = ("make", "camera", "lens")
"""What is noted of a picture that tells what it was taken with."""


def show(project: Project, key: str) -> Row:
    """Return all that is known of `key`, in the form of a row. Raises MissingError when nothing is."""
    row = known(project, key)
    if row is None:
        raise MissingError(f"image {key}", "there is no such upload", hint="imgpipe metadata list")
    return row


def known(project: Project, key: str) -> Row | None:
    """Return what `show` does; None where nothing is known."""
    row = _row(project, key) or _upload(project, key)
    if row is None or row["status"] != "in_flight":
        return row
    return with_letters(row, _letters_of(project, row))


def shows(tags: Sequence[str], camera: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return what tells whether a row has all of `tags`, of whatever origin, and a camera or lens
    with `camera` in its name; upper and lower case are the same.
    """
    wanted, part = {tag.casefold() for tag in tags}, camera.casefold()

    def applies(row: Mapping[str, Any]) -> bool:
        facts = row["facts"]
        has = {str(tag.get("name", "")).casefold() for tag in facts.get("tags") or ()}
        noted = facts.get("exif") or {}
        names = " ".join(str(noted.get(name, "")) for name in CAMERA)
        return wanted <= has and part in names.casefold()

    return applies


def _row(project: Project, key: str) -> Row | None:
    wanted = images.candidates(project.graph.prefix, key)
    found = rows.by_keys(project, wanted, consistent=True)
    return next((found[name] for name in wanted if name in found), None)


def _upload(project: Project, key: str) -> Row | None:
    """Return the row of an upload that no step has told of yet."""
    s3 = project.cloud.client("s3")
    for name in images.candidates(project.graph.prefix, key):
        try:
            found = s3.head_object(Bucket=project.graph.uploads_bucket, Key=name)
        except s3.exceptions.ClientError as error:
            if error_code(error) in {"404", "NoSuchKey"}:
                continue
            raise explain(error, f"image {key}") from error
        return {
            "key": name,
            "status": "in_flight",
            "version_id": found.get("VersionId"),
            "etag": found["ETag"].strip('"'),
            "sequencer": "",
            "size": found["ContentLength"],
            "uploaded_at": iso(found["LastModified"]),
            "updated_at": iso(found["LastModified"]),
            "settings_hash": "",
            "steps": {},
            "outputs": {},
            "facts": {},
        }
    return None


def _letters_of(project: Project, row: Mapping[str, Any]) -> list[Letter]:
    sqs = project.cloud.client("sqs")
    homes = [
        home for home in queues.homes(project.graph) if home.steps and find.waiting(sqs, home.url)
    ]
    about = [
        letter
        for letter in find.letters(project, homes)
        if letter.key == row["key"] and letter.version_id in (None, row["version_id"])
    ]
    return causes.explained(project, about)


def with_letters(row: Row, letters: list[Letter]) -> Row:
    """Return `row` as the dead letters about it make it: the steps that they name have failed."""
    if not letters:
        return row
    steps = dict(row["steps"])
    for letter in letters:
        error = {"class": letter.error, "message": letter.reason, "reason": ""}
        for name in letter.steps:
            known = {
                "ms": None,
                "at": iso(letter.first_seen),
                "attempts": None,
                **steps.get(name, {}),
            }
            if known.get("status") not in {"done", "rejected"}:
                steps[name] = {**known, "status": "failed", "error": known.get("error") or error}
    first = letters[0]
    told = ": ".join(filter(None, (first.error, first.reason)))
    return {
        **row,
        "status": "failed",
        "steps": steps,
        "reason": told or f"a dead letter in {first.queue}",
    }
