"""Letters kept beyond their queue's 14 days: archived under `ops/rescued/`, and put back when somebody wants them.

Archiving writes the letter whole, then takes it out of its queue; putting back sends it to the queue that it came from,
then forgets the archive. Killed in between, a letter is in both places: done again, one of them goes. What a letter
says of its failure goes with it, as do its attributes; the queue counts its days anew.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.operate import ops
from imgpipe.operate.dlq import mover
from imgpipe.operate.dlq.letters import decode
from imgpipe.operate.dlq.mover import Outcome
from imgpipe.operate.times import from_iso, iso, to_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgpipe.operate.dlq.letters import Home, Letter
    from imgpipe.operate.project import Project

FOLDER = "rescued/"


@dataclass(frozen=True, slots=True)
class Rescued:
    """An archived letter: what `dlq list` would have said of it, its message, and when it was archived."""

    id: str
    queue: str
    step: str
    key: str | None
    error: str
    reason: str
    first_seen: str
    rescued_at: str
    body: str
    attributes: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "queue": self.queue,
            "step": self.step,
            "key": self.key,
            "error": self.error or None,
            "reason": self.reason or None,
            "first_seen": self.first_seen,
            "rescued_at": self.rescued_at,
        }


def expiring(letters: Sequence[Letter], within_s: float, now: datetime) -> list[Letter]:
    """Return those that their queue will drop within so many seconds."""
    return [letter for letter in letters if (letter.expires - now).total_seconds() <= within_s]


def archive(
    project: Project, homes: Sequence[Home], letters: Sequence[Letter]
) -> Iterator[Outcome]:
    """Archive each letter and take it out of its queue; yield what became of it."""

    def keep(letter: Letter) -> Outcome:
        try:
            place = ops.write(project, f"{FOLDER}{letter.id}.json", _note(letter))
        except Exception as error:  # noqa: BLE001 - it stays where it is, and the others go on
            return Outcome(letter, "failed", "", str(explain(error, "archiving it")))
        return Outcome(letter, "moved", place)

    yield from mover.each(project, homes, letters, keep)


def archived(project: Project) -> Iterator[Rescued]:
    """Yield the archived letters, one by one."""
    for name in ops.names(project, FOLDER):
        note = ops.read(project, name)
        if note:
            yield _rescued(note)


def letters(project: Project, homes: Sequence[Home]) -> Iterator[Letter]:
    """Yield the archived letters as they were in their queues, those of `homes`."""
    known = {home.name: home for home in homes}
    for kept in archived(project):
        seen = from_iso(kept.first_seen)
        if kept.queue in known and seen:
            message = {
                "MessageId": kept.id,
                "Body": kept.body,
                "Attributes": {"SentTimestamp": str(to_ms(seen))},
                "MessageAttributes": _attributes(kept.attributes),
            }
            yield decode(known[kept.queue], message)


def put_back(project: Project, letter: Rescued, homes: Sequence[Home]) -> str:
    """Send `letter` to its queue and forget its archive; return the queue.

    Raises CloudError; KeyError for a queue that this pipeline hasn't.
    """
    home = {each.name: each for each in homes}[letter.queue]
    sqs = project.cloud.client("sqs")
    attributes = {"MessageAttributes": _attributes(letter.attributes)} if letter.attributes else {}
    try:
        sqs.send_message(QueueUrl=home.url, MessageBody=letter.body, **attributes)
    except sqs.exceptions.ClientError as error:
        raise explain(error, f"dead letter {letter.id}") from error
    ops.remove(project, f"{FOLDER}{letter.id}.json")
    return home.name


def _note(letter: Letter) -> dict[str, Any]:
    told = {name: value for name, value in letter.as_json().items() if name != "expires"}
    return {
        **told,
        "rescued_at": iso(datetime.now(UTC)),
        "body": letter.body,
        "attributes": {name: _plain(value) for name, value in letter.attributes.items()},
    }


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attribute as JSON holds it."""
    made = {name: value[name] for name in ("DataType", "StringValue") if name in value}
    if "BinaryValue" in value:
        made["BinaryBase64"] = base64.b64encode(value["BinaryValue"]).decode()
    return made


def _attributes(kept: Mapping[str, Any]) -> dict[str, Any]:
    made = {}
    for name, value in kept.items():
        made[name] = {part: value[part] for part in ("DataType", "StringValue") if part in value}
        if "BinaryBase64" in value:
            made[name]["BinaryValue"] = base64.b64decode(value["BinaryBase64"])
    return made


def _rescued(note: Mapping[str, Any]) -> Rescued:
    return Rescued(
        id=str(note["id"]),
        queue=str(note["queue"]),
        step=str(note.get("step") or ""),
        key=note.get("key"),
        error=str(note.get("error") or ""),
        reason=str(note.get("reason") or ""),
        first_seen=str(note["first_seen"]),
        rescued_at=str(note["rescued_at"]),
        body=str(note["body"]),
        attributes=note.get("attributes") or {},
    )
