"""Notices to people that were claimed and never sent: the notifier died between the two.

A notice goes out at most once, so nothing sends it again; somebody should know, and may write by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgpipe.deploy.names import NOTIFIER
from imgpipe.operate import parallel
from imgpipe.operate.audit.law import Finding, Law
from imgpipe.operate.times import from_iso
from imgpipe.runtime import items
from imgpipe.runtime.row import generation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgpipe.operate.project import Project

_BATCH = 100
"""BatchGetItem's limit."""
_KINDS = {"done": "completed", "failed": "failed", "rejected": "failed"}


def unsent(project: Project, law: Law, known: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield the claims without a send about the ends of these rows."""
    if not any(branch.name == NOTIFIER for branch in project.graph.branches):
        return
    wanted = [
        {"pk": {"S": key}, "sk": {"S": f"notice#{_KINDS[row['status']]}#{generation(row)}"}}
        for key, row in sorted(known.items())
        if row["status"] in _KINDS
    ]
    slices = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
    table, dynamodb = project.graph.table, project.cloud.client("dynamodb")

    def read(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        asked: Mapping[str, Any] = {table: {"Keys": keys}}
        while asked:
            answer = dynamodb.batch_get_item(RequestItems=asked)
            found += [items.decode(item) for item in answer["Responses"].get(table, [])]
            asked = answer.get("UnprocessedKeys") or {}
        return found

    for some in parallel.stream(read, slices, 4):
        for claim in some:
            if not claim.get("sent_at") and law.old(from_iso(claim.get("claimed_at"))):
                kind = str(claim["sk"]).split("#")[1]
                why = f"the notice `{kind}` was claimed and never sent, as far as is known"
                yield Finding(kind="unsent", key=str(claim["pk"]), why=why)
