"""Removing what a survey found, until nothing comes back; and the receipt.

Deleting a version makes S3 tell the pipeline, which writes a tombstone for the key; work that had begun may still store
an output. So it goes by rounds: remove, look again, and end only when nothing was found for `QUIET_S` and no queue
holds anything, or all were read through. What is about to be removed is noted under `ops/` before it is, so that the
receipt of a run that was interrupted and begun again lists all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.deploy.names import OPERATIONS
from imgpipe.operate import images, ops
from imgpipe.operate.dlq import mover, queues
from imgpipe.operate.erase import notes, receipts
from imgpipe.operate.erase.survey import Holdings, Survey
from imgpipe.operate.times import iso
from imgpipe.operate.why.ask import list_versions

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

QUIET_S = 10.0
"""How long nothing of the key may have shown before it counts as gone: S3 tells of a deletion within seconds."""
ROUND_S = 1.0
PATIENT_ROUNDS = 5
"""Rounds in which the queues may empty by themselves before they are looked into."""
HIDDEN_ROUNDS = 60
"""Rounds in which what functions work on may end or show again."""
MOST_LOOKS = 2
"""Looks into a work queue, each of which is an attempt at every message in it; a third could make dead letters."""
_DELETED_AT_ONCE = 1000
NOT_COVERED = (
    "log lines that name the key, until the log group's retention ends",
    "notices that were sent already",
    "the table's point-in-time recovery, for 35 days, if it is on",
    "copies that others made, and this receipt, which names the key",
)


@dataclass(slots=True)
class Receipt:
    """What was removed, and what was looked for afterwards and not found."""

    key: str
    began: str
    removed: dict[str, list[Any]] = field(default_factory=dict)
    verified: dict[str, str] = field(default_factory=dict)
    ended: str = ""
    name: str = ""

    @property
    def complete(self) -> bool:
        return bool(self.verified)

    @property
    def total(self) -> int:
        return sum(map(len, self.removed.values()))

    def add(self, found: Holdings) -> None:
        for kind, some in found.as_json().items():
            known = self.removed.setdefault(kind, [])
            known += [it for it in some if it not in known]

    def as_json(self) -> dict[str, Any]:
        return {
            "v": 1,
            "key": self.key,
            "began": self.began,
            "ended": self.ended or None,
            "complete": self.complete,
            "removed": self.removed,
            "verified_absent": self.verified,
            "not_covered": list(NOT_COVERED),
            "kept_as": self.name or None,
        }


def find(project: Project, key: str) -> Holdings:
    """Return what there is of `key`, which may lack the prefix: of the likelier full key that anything is there of."""
    wanted = images.candidates(project.graph.prefix, key)
    surveys = [Survey(project, full)(look_into_queues=False, read_notes=True) for full in wanted]
    return next((found for found in surveys if not found.empty), surveys[0])


def erase(
    project: Project,
    key: str,
    *,
    timeout_s: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Receipt]:
    """Remove everything of `key`, a full key; yield the receipt after each round. The last one is complete unless the
    time ran out.
    """
    survey, receipt = Survey(project, key), _opened(project, key)
    ends, rounds, looks, waiting = now() + timeout_s, 0, 0, 0
    quiet_since: float | None = None
    while True:
        closing = quiet_since is not None and now() - quiet_since >= QUIET_S
        due = closing or (looks == 0 and rounds >= PATIENT_ROUNDS)
        look = due and waiting > 0 and looks < MOST_LOOKS
        found = survey(look_into_queues=look, read_notes=closing or not rounds)
        rounds, looks, waiting = rounds + 1, looks + look, found.waiting
        if not found.empty:
            receipt.add(found)
            ops.write(project, receipts.open_name(key), receipt.as_json())
            remove(project, survey, found)
        still = _still(found, rounds, looks)
        if closing and still:
            yield _closed(project, receipt, found)
            return
        quiet_since = (quiet_since if quiet_since is not None else now()) if still else None
        yield receipt
        if now() >= ends:
            return
        sleep(ROUND_S)


def _still(found: Holdings, rounds: int, looks: int) -> bool:
    """Whether nothing was found where everything could be seen. What functions work on is waited for, but for so long
    only: of a busy pipeline some always is.
    """
    if not found.empty or found.held:
        return False
    return not found.waiting or (looks > 0 and (not found.hidden or rounds > HIDDEN_ROUNDS))


def remove(project: Project, survey: Survey, found: Holdings) -> None:
    """Remove what was found. Each part can be done twice."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        _remove_objects(project, found)
        for sort_key in found.rows:
            project.cloud.client("dynamodb").delete_item(
                TableName=project.graph.table,
                Key={"pk": {"S": found.key}, "sk": {"S": sort_key}},
            )
        for note in found.notes:
            notes.remove(project, note, found.key)
    except (BotoCoreError, ClientError) as error:
        raise explain(error, f"erasing {found.key}") from error
    homes = queues.homes(project.graph)
    for _ in mover.purge(project, homes, found.letters):
        pass
    for _ in mover.purge(project, survey.homes, found.messages):
        pass


def _remove_objects(project: Project, found: Holdings) -> None:
    s3, graph = project.cloud.client("s3"), project.graph
    for upload_id in found.parts:
        s3.abort_multipart_upload(Bucket=graph.uploads_bucket, Key=found.key, UploadId=upload_id)
    versions = [{"Key": found.key, "VersionId": it.id or "null"} for it in found.versions]
    _delete(s3, graph.uploads_bucket, versions)
    _delete(s3, graph.variants_bucket, list(_outputs(project, found)))


def _outputs(project: Project, found: Holdings) -> Iterator[dict[str, str]]:
    """Yield the outputs; beside the uploads they lie in a bucket that may keep every version."""
    if not project.graph.variants_prefix:
        yield from ({"Key": key} for key in found.outputs)
        return
    for key in found.outputs:
        for it in list_versions(project, key):
            yield {"Key": key, "VersionId": it.id or "null"}


def _delete(s3: Any, bucket: str, objects: list[dict[str, str]]) -> None:
    """Delete objects; what S3 refused shows again in the next survey."""
    for start in range(0, len(objects), _DELETED_AT_ONCE):
        some = objects[start : start + _DELETED_AT_ONCE]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})


def _opened(project: Project, key: str) -> Receipt:
    """Return a new receipt, or the open one of a run that was interrupted."""
    noted = ops.read(project, receipts.open_name(key))
    if noted:
        return Receipt(key=key, began=noted["began"], removed=noted["removed"])
    return Receipt(key=key, began=iso(datetime.now(UTC)))


def _closed(project: Project, receipt: Receipt, found: Holdings) -> Receipt:
    """Keep the receipt as it is now: everything was looked for again, and nothing was there."""
    graph, at = project.graph, iso(datetime.now(UTC))
    receipt.ended = at
    receipt.verified = {
        "versions": f"ListObjectVersions of {graph.uploads_bucket}: none",
        "unfinished_uploads": f"ListMultipartUploads of {graph.uploads_bucket}: none",
        "outputs": f"ListObjectsV2 of {graph.variants_bucket}, by name and by row: none",
        "rows": f"Query of {graph.table}, consistently read: none",
        "dead_letters": "every dead-letter queue read through: none",
        "queued_messages": _queued(found),
        "notes": f"every note of runs, audits and rescued letters under {OPERATIONS}/ read: none",
    }
    receipt.name = f"{OPERATIONS}/{receipts.folder(receipt.key)}/{at.replace(':', '')}.json"
    ops.write(project, receipt.name.removeprefix(f"{OPERATIONS}/"), receipt.as_json())
    ops.remove(project, receipts.open_name(receipt.key))
    return receipt


def _queued(found: Holdings) -> str:
    if not found.waiting:
        return "every work queue empty"
    rest = f"; {found.hidden} of any image were being worked on" if found.hidden else ""
    return f"every work queue read through: none{rest}"
