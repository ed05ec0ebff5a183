"""The uploads bucket from beginning to end, in batches: versions beside rows, dead letters and outputs.

Memory holds one batch, a page of each folder of the variants bucket, and a line a dead letter, however large the bucket
is. After each batch the place is noted under `ops/`, so that an audit that was interrupted goes on, also elsewhere.

Rows whose key has no version left at all don't show in the bucket's list. They are looked for only when the table
counts more live rows than were met: that needs a question an image.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import error_code, explain
from imgpipe.deploy.names import NOTIFIER, RESULTS
from imgpipe.deploy.triggers import spellings
from imgpipe.operate import branches, claims, images, ops, parallel, rows
from imgpipe.operate.audit import law as laws
from imgpipe.operate.audit import outputs, owners, remedy
from imgpipe.operate.audit.law import Finding, Law, Upload
from imgpipe.operate.dlq import find, queues, rescue
from imgpipe.operate.dlq.letters import Letter, decode
from imgpipe.operate.times import from_iso, iso
from imgpipe.operate.why.ask import list_versions, version_of
from imgpipe.runtime.row import from_item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.operate.project import Project

FOLDER = "audit"
BATCH = 500
"""Keys that are compared at a time."""
WORKERS = 16
AGAIN = 10_000
"""Names that are kept of outputs that are made again: an orphan of theirs is met soon after."""
SUSPECTS = 5_000
"""Outputs that nobody seems to name, kept until the table is read through for them: an audit does it once at its end,
and before that only if it meets more.
"""
ALL_PAGES = 1_000_000
_LIVE = ("done", "rejected", "failed", "in_flight")


@dataclass(slots=True)
class Tally:
    """What an audit has met so far, and where it is. It is what the checkpoint keeps."""

    prefix: str
    after: str = ""  # the last key that was judged
    folders: dict[str, str] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    versions: int = 0
    rows: int = 0  # live ones that were met, of uploads from before it began
    table: int | None = None  # live ones that the table counted when it began
    started: str = ""
    whole: bool = False
    again: dict[str, None] = field(
        default_factory=dict
    )  # outputs that healing makes again, the last ones
    suspects: dict[str, list[str]] = field(default_factory=dict)  # outputs -> whose they may be

    def as_json(self) -> dict[str, Any]:
        return {
            "prefix": self.prefix,
            "after": self.after,
            "folders": self.folders,
            "statuses": dict(self.statuses),
            "findings": dict(self.findings),
            "versions": self.versions,
            "rows": self.rows,
            "table": self.table,
            "started": self.started,
            "whole": self.whole,
            "suspects": self.suspects,
        }

    @classmethod
    def loads(cls, note: dict[str, Any]) -> Tally:
        counted = {name: Counter(note[name]) for name in ("statuses", "findings")}
        return cls(**{**note, **counted})

    @property
    def balanced(self) -> bool:
        """Whether every version was given one status."""
        return sum(self.statuses.values()) == self.versions


def note_name(prefix: str) -> str:
    return f"{FOLDER}/{hashlib.sha256(prefix.encode()).hexdigest()[:12]}.json"


def begin(project: Project, below: str, *, resume: bool) -> Tally:
    """Return a new tally, or with `resume` the one of an audit that was interrupted, if there is one."""
    prefix = images.listing_prefix(project.graph.prefix, below)
    noted = ops.read(project, note_name(prefix)) if resume else None
    if noted:
        return Tally.loads(noted)
    return Tally(prefix=prefix, started=iso(datetime.now(UTC)), whole=not below)


def walk(
    project: Project, tally: Tally, grace: timedelta, *, healing: bool = False
) -> Iterator[Finding]:
    """Yield what is wrong as it is found; keep `tally` up to date. A finding is the caller's once it is yielded:
    the place behind it is noted only when the next batch begins.

    Which queues hold messages is asked with each batch; but only once when `healing`, which fills them.
    """
    s3 = project.cloud.client("s3")
    try:
        yield from _walk(project, tally, grace, _busy(project) if healing else None)
    except s3.exceptions.ClientError as error:
        raise explain(error, "the audit") from error


def _walk(
    project: Project, tally: Tally, grace: timedelta, busy: frozenset[str] | None
) -> Iterator[Finding]:
    if tally.whole and tally.table is None:
        tally.table = _live(project, from_iso(tally.started))
    letters = _letters(project)
    folders = outputs.folders(project, tally.folders) if tally.whole else []
    for batch in batches(uploads(project, tally.prefix, tally.after)):
        law = law_of(project, grace, busy)
        yield from _counted(project, tally, _of_batch(project, tally, law, batch, letters, folders))
        tally.after = batch[-1].key
        tally.folders = {folder.name: folder.at for folder in folders}
        ops.write(project, note_name(tally.prefix), tally.as_json())
    law = law_of(project, grace, busy)
    for folder in folders:
        rest = outputs.unclaimed(folder, None, (), set())
        yield from _counted(project, tally, _suspected(project, tally, law, rest))
    yield from _counted(project, tally, _orphans(project, tally, law))
    yield from _counted(project, tally, _strays(project, tally, law))
    ops.remove(project, note_name(tally.prefix))


def _counted(project: Project, tally: Tally, findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        tally.findings[finding.kind] += 1
        tally.again.update(dict.fromkeys(remedy.made_again(project.graph, finding)))
        while len(tally.again) > AGAIN:
            del tally.again[next(iter(tally.again))]
        yield finding


def law_of(project: Project, grace: timedelta, busy: frozenset[str] | None = None) -> Law:
    """Return what the pipeline expects now, and for which steps messages wait, unless `busy` says so."""
    creators = branches.creators(project.graph)
    settings = [branches.settings_of(branch) for branch in creators]
    return Law(
        steps=tuple(step for branch in creators for step in branch.steps),
        matches={step: rule for told in settings for step, rule in told.matches.items()},
        variants={
            variant: step
            for told in settings
            for step, chosen in told.steps.items()
            for variant in (chosen.get("variants") or {step: {}})
        },
        now=datetime.now(UTC),
        grace=grace,
        busy=_busy(project) if busy is None else busy,
        tidies=bool(branches.tidiers(project.graph)),
        since=rows.began(project),
        endings=tuple(filter(None, spellings(project.spec.uploads.suffixes))),
    )


def _busy(project: Project) -> frozenset[str]:
    """Return the steps that messages wait for; `results` and `removed` for the writer's and tidy's, `dead results`
    for those that the writer gave up on: of both, the table doesn't know yet.
    """
    sqs, graph = project.cloud.client("sqs"), project.graph
    found: set[str] = set()
    if find.held(sqs, graph.place.queue_url(graph.queues[f"{RESULTS}-dlq"])):
        found.add("dead results")
    for branch in graph.branches:
        if branch.queue is None or not find.held(sqs, graph.place.queue_url(branch.queue)):
            continue
        if branch.queue == graph.queues[RESULTS]:
            found.add("results")
        elif branch in branches.tidiers(graph):
            found.add("removed")
        found.update(branch.steps)
    return frozenset(found)


def _letters(project: Project) -> dict[str, list[Letter]]:
    """Map keys to the dead letters about them, also those that were archived."""
    sqs, homes = project.cloud.client("sqs"), queues.homes(project.graph)
    found: dict[str, list[Letter]] = {}
    for letter in rescue.letters(project, homes):
        if letter.key:
            found.setdefault(letter.key, []).append(letter)
    for home in homes:
        receipts: dict[str, str] = {}
        expected = find.waiting(sqs, home.url)
        if not expected:
            continue
        try:
            for message in find.receive_all(sqs, home.url, expected, receipts):
                letter = decode(home, message)
                if letter.key:
                    found.setdefault(letter.key, []).append(letter)
        finally:
            find.release(sqs, home.url, receipts.values())
    return found


def uploads(project: Project, prefix: str, after: str) -> Iterator[Upload]:
    """Yield each key below `prefix` and behind `after` with its latest version, in order. Of a key, S3 lists the
    latest first.
    """
    pages = project.cloud.client("s3").get_paginator("list_object_versions")
    start = {"KeyMarker": after} if after else {}
    latest: dict[str, Any] | None = None
    older = 0
    for page in pages.paginate(Bucket=project.graph.uploads_bucket, Prefix=prefix, **start):
        listed = [(it["Key"], it["IsLatest"], it, False) for it in page.get("Versions", [])]
        listed += [(it["Key"], it["IsLatest"], it, True) for it in page.get("DeleteMarkers", [])]
        for key, is_latest, it, marker in sorted(
            listed, key=lambda each: (each[0].encode(), not each[1])
        ):
            if latest and latest["it"]["Key"] != key:
                yield _upload(latest, older)
                latest, older = None, 0
            if is_latest:
                latest = {"it": it, "marker": marker}
            elif not marker:
                older += 1
    if latest:
        yield _upload(latest, older)


def _upload(latest: dict[str, Any], older: int) -> Upload:
    version = version_of(latest["it"], marker=latest["marker"])
    return Upload(key=latest["it"]["Key"], latest=version, older=older)


def batches(listed: Iterator[Upload]) -> Iterator[list[Upload]]:
    batch: list[Upload] = []
    for upload in listed:
        if upload.key.endswith("/") and not upload.latest.size:
            continue  # what S3's console makes of a new folder
        batch.append(upload)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _of_batch(
    project: Project,
    tally: Tally,
    law: Law,
    batch: list[Upload],
    letters: dict[str, list[Letter]],
    folders: list[outputs.Folder],
) -> Iterator[Finding]:
    known = rows.by_keys(project, [upload.key for upload in batch], consistent=True)
    for upload in batch:
        row = known.get(upload.key)
        about = tuple(
            it for it in letters.get(upload.key, ()) if it.version_id in (None, upload.latest.id)
        )
        status, finding = laws.judge(law, upload, row, about)
        _count(tally, upload, status, row)
        if finding:
            yield finding
    yield from _unmade(project, tally, law, batch, known, folders)
    yield from _unsent(project, law, known)


def _unsent(
    project: Project, law: Law, known: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    """Yield the notices that were claimed and never sent: the notifier died between the two. Nothing sends them
    again, for a notice goes out at most once; somebody should know, and may write by hand.
    """
    if not any(branch.name == NOTIFIER for branch in project.graph.branches):
        return
    for claim in claims.of_ends(project, known.values()):
        if not claim.sent_at and law.old(claim.claimed_at):
            why = f"the notice `{claim.kind}` was claimed and never sent, as far as is known"
            yield Finding(kind="unsent", key=claim.key, why=why)


def _count(tally: Tally, upload: Upload, status: str, row: dict[str, Any] | None) -> None:
    marker = upload.latest.marker
    tally.versions += upload.older + (not marker)
    tally.statuses["removed" if marker else "superseded"] += upload.older
    if not marker:
        tally.statuses[status] += 1
    if row is not None and row["status"] in _LIVE:
        tally.rows += row["uploaded_at"] <= tally.started


def _unmade(
    project: Project,
    tally: Tally,
    law: Law,
    batch: list[Upload],
    known: dict[str, dict[str, Any]],
    folders: list[outputs.Folder],
) -> Iterator[Finding]:
    """Compare what the rows name with what there is, and ask again about what doesn't match."""
    named = {key: outputs.outputs_of(row) for key, row in known.items()}
    every = {output for some in named.values() for output in some}
    seen: set[str] = set()
    for folder in folders:
        mine = {output for output in every if output.startswith(folder.prefix)}
        relative = batch[-1].key.removeprefix(project.graph.prefix)
        last = max({*mine, f"{folder.prefix}{relative}"})
        yield from _suspected(project, tally, law, outputs.unclaimed(folder, last, mine, seen))
    suspects = sorted(every - seen)
    checked = parallel.stream(lambda key: (key, outputs.is_there(project, key)), suspects, WORKERS)
    lost = {key for key, there in checked if not there}
    for upload in batch:
        gone = tuple(sorted(named.get(upload.key, set()) & lost))
        row = known.get(upload.key)
        if gone and row and not upload.latest.marker and laws.is_about(row, upload.latest):
            yield laws.unmade(law, upload, row, gone)


def _suspected(
    project: Project, tally: Tally, law: Law, unclaimed: Iterator[tuple[str, datetime]]
) -> Iterator[Finding]:
    """Note the outputs that no row seems to name; yield the orphans among them only if they become too many to keep.

    A young one's row may be on its way, as may its deletion; and where results wait, or lie among the dead letters, so
    may any one's. What an upload that is sent again will make stays as well.
    """
    asked = (key for key, when in unclaimed if law.old(when) and _is_doubtful(tally, law, key))
    for key, known in parallel.stream(
        lambda key: (key, owners.suspected(project, key)), asked, WORKERS
    ):
        if known is None:
            continue
        tally.suspects[key] = sorted(known)
        if len(tally.suspects) >= SUSPECTS:
            yield from _orphans(project, tally, law)


def _is_doubtful(tally: Tally, law: Law, output: str) -> bool:
    unsure = law.busy & {"removed", "results", "dead results"}
    return not unsure and output.rpartition(".")[0] not in tally.again


def _orphans(project: Project, tally: Tally, law: Law) -> Iterator[Finding]:
    """Yield those of the suspects that no row in the table names."""
    suspects = {key: some for key, some in tally.suspects.items() if _is_doubtful(tally, law, key)}
    for key, whose in owners.orphans(project, suspects):
        yield Finding(kind="orphan", key=key, why="no row names it", outputs=(key,), owners=whose)
    tally.suspects.clear()


def _live(project: Project, until: datetime | None) -> int:
    counts = [rows.count(project, status, ALL_PAGES, until=until)[0] for status in _LIVE]
    return sum(counts)


def _strays(project: Project, tally: Tally, law: Law) -> Iterator[Finding]:
    """Yield the rows of keys that have no version left, if the table counts more rows than were met."""
    if not tally.whole or not law.tidies:
        return
    if tally.table is not None and tally.table <= tally.rows:
        return
    every = (from_item(item) for item in rows.every_item(project))
    live = (row for row in every if row["status"] in _LIVE)
    for row, gone in parallel.stream(partial(_without_upload, project), live, WORKERS):
        if gone and "removed" not in law.busy and "results" not in law.busy:
            yield Finding(
                kind="stale",
                key=row["key"],
                version_id=row["version_id"],
                why=f"its row says {row['status']}, and the bucket holds no version of it",
                sequencer=row["sequencer"],
            )


def _without_upload(project: Project, row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    s3 = project.cloud.client("s3")
    try:
        s3.head_object(Bucket=project.graph.uploads_bucket, Key=row["key"])
    except s3.exceptions.ClientError as error:
        if error_code(error) in {"404", "NoSuchKey", "405"}:
            return row, not list_versions(project, row["key"])
        raise
    return row, False
