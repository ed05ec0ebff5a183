"""Notices to people, as the table tells of them: claimed before they are sent, so that each is sent at most once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.operate import rows
from imgpipe.operate.times import from_iso
from imgpipe.runtime import items
from imgpipe.runtime.notices import CLAIM, claim_key, of_claim_key
from imgpipe.runtime.row import generation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from imgpipe.operate.project import Project

_KINDS = {"done": "completed", "failed": "failed", "rejected": "failed"}
"""What people hear of an image's end, by its status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A notice about one upload of a key; without `sent_at` nobody knows whether it went out."""

    key: str
    kind: str
    upload: str
    claimed_at: datetime | None
    sent_at: datetime | None


def of_ends(project: Project, found: Iterable[Mapping[str, Any]]) -> Iterator[Claim]:
    """Yield the claims about the ends of these rows, as far as they have one."""
    ended = [row for row in found if row["status"] in _KINDS]
    wanted = [(row["key"], claim_key(_KINDS[row["status"]], generation(row))) for row in ended]
    return map(_claim, rows.items_at(project, wanted))


def of_key(project: Project, key: str) -> Iterator[Claim]:
    """Yield every claim about uploads of `key`."""
    answer = project.cloud.client("dynamodb").query(
        TableName=project.graph.table,
        KeyConditionExpression="pk = :key AND begins_with(sk, :claim)",
        ExpressionAttributeValues={":key": {"S": key}, ":claim": {"S": CLAIM}},
    )
    return map(_claim, answer["Items"])


def _claim(item: Mapping[str, Any]) -> Claim:
    fields = items.decode(item)
    kind, upload = of_claim_key(fields["sk"])
    return Claim(
        key=fields["pk"],
        kind=kind,
        upload=upload,
        claimed_at=from_iso(fields.get("claimed_at")),
        sent_at=from_iso(fields.get("sent_at")),
    )
