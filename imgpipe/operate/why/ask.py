"""Asking S3, the table, the queues, the logs and the live wiring about one key.

What can't be asked (a denied permission, a table that was deleted) is a fact like the others: the timeline is shown
without it, and says so. Work queues are never looked into: receiving a message counts as an attempt at it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from imgpipe.cloud import explain
from imgpipe.deploy.resources import Subscription
from imgpipe.errors import CloudError, MissingError, UsageError
from imgpipe.operate import claims, images, log_search, parallel, rows
from imgpipe.operate.dlq import causes, find, queues
from imgpipe.operate.erase import receipts
from imgpipe.operate.times import from_iso
from imgpipe.operate.why import belongs
from imgpipe.operate.why.facts import Attempt, Depth, Facts, Version

if TYPE_CHECKING:
    from imgpipe.deploy.resources import Key
    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.project import Project

T = TypeVar("T")

NEVER_ARRIVED = timedelta(days=1)
"""How far back the logs are searched for an image that left nothing else."""
LATEST = 500
"""Images among which one is looked for that was asked for without its folder."""
_DEPTHS = {
    "visible": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


class _Asking:
    """Asks one thing after another and remembers what couldn't be answered."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.unreadable: dict[str, str] = {}

    def get(self, what: str, call: Callable[[], T]) -> T | None:
        """Return what `call` returns; nothing when the cloud refuses it."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except (BotoCoreError, ClientError, CloudError) as error:
            known = explain(error, what)
            self.unreadable[what] = known.why or str(known)
            return None


def ask(project: Project, key: str, version_id: str | None = None) -> Facts:
    """Return what is known of `key`, which may lack the prefix.

    Raises UsageError for a version that the key doesn't have, and CloudError when S3 doesn't answer at all.
    """
    asking = _Asking(project)
    full, versions = _versions(project, key)
    subject = _subject(full, versions, version_id)
    row = asking.get("the image's row", partial(_row, project, full))
    known = Facts(key=full, now=datetime.now(UTC), versions=versions, subject=subject, row=row)
    known = replace(known, attempts=_attempts(asking, known))
    if not (versions or row):
        said = asking.get("the receipts of erasures", partial(receipts.latest, project, full))
        known = replace(known, receipt=said)
    if not known.arrived:
        known = replace(known, **_never(asking, full))
    calls = (
        partial(_missing, asking, known),
        partial(_claims, asking, known),
        partial(_depths, asking),
        partial(_letters, asking, known),
        partial(_wiring, asking, known),
    )
    found: dict[str, Any] = {}
    for part in parallel.together(*calls):
        found.update(part)
    return replace(known, **found, unreadable=asking.unreadable)


def _versions(project: Project, key: str) -> tuple[str, tuple[Version, ...]]:
    """Return the full key that is meant and its versions, the newest first."""
    wanted = images.candidates(project.graph.prefix, key)
    for full in wanted:
        if found := list_versions(project, full):
            return full, found
    rows_of = rows.by_keys(project, wanted) if len(wanted) > 1 else {}
    return next((full for full in wanted if full in rows_of), wanted[0]), ()


def list_versions(project: Project, key: str) -> tuple[Version, ...]:
    """Return every version of one key and its delete markers, the newest first. Raises CloudError."""
    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    found: list[Version] = []
    try:
        for page in pages:
            found += [
                version_of(it, marker=marker)
                for name, marker in (("Versions", False), ("DeleteMarkers", True))
                for it in page.get(name, [])
                if it["Key"] == key
            ]
            if any(it["Key"] > key for it in page.get("Versions", [])):
                break
    except s3.exceptions.ClientError as error:
        raise explain(error, f"bucket {bucket}") from error
    return tuple(sorted(found, key=lambda it: (it.latest, it.at), reverse=True))


def version_of(listed: Any, *, marker: bool = False) -> Version:
    """Return a version as `list_object_versions` lists it."""
    identifier = listed.get("VersionId")
    return Version(
        id=None if identifier in (None, "null") else identifier,
        at=listed["LastModified"],
        size=listed.get("Size", 0),
        etag=listed.get("ETag", "").strip('"'),
        latest=listed["IsLatest"],
        marker=marker,
    )


def _subject(key: str, versions: tuple[Version, ...], version_id: str | None) -> Version | None:
    if version_id is None:
        return versions[0] if versions else None
    for version in versions:
        if (version.id or "null").startswith(version_id):
            return version
    known = ", ".join(version.id or "null" for version in versions[:5]) or "none"
    raise UsageError(f"version {version_id}", f"{key} has no such version; it has {known}")


def _row(project: Project, key: str) -> rows.Row | None:
    return rows.by_keys(project, [key], consistent=True).get(key)


def _attempts(asking: _Asking, known: Facts) -> tuple[Attempt, ...]:
    """Return what the functions did with the version, from the time that it came until the next one."""
    project = asking.project
    branches = [branch for branch in project.graph.branches if branch.log_group]
    since = (
        known.subject.at
        if known.subject
        else (from_iso((known.row or {}).get("uploaded_at")) or known.now - NEVER_ARRIVED)
    )
    runs = asking.get(
        "the functions' logs",
        partial(log_search.by_key, project, branches, {known.key}, since - belongs.SKEW),
    )
    found = (belongs.attempt(run, known) for run in runs or [])
    return tuple(it for it in found if it)


def _never(asking: _Asking, key: str) -> dict[str, Any]:
    """Return what may explain that nothing is known: an unfinished upload, a key that is much alike."""
    s3, bucket = asking.project.cloud.client("s3"), asking.project.graph.uploads_bucket
    begun = asking.get(
        "unfinished uploads",
        lambda: s3.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads", []),
    )
    folder = key.rpartition("/")[0] + "/"
    listed = asking.get(
        "keys beside it",
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix=folder.lstrip("/")).get("Contents", []),
    )
    lower = {it["Key"].lower(): it["Key"] for it in listed or []}
    alike = [lower[it] for it in difflib.get_close_matches(key.lower(), lower, n=3, cutoff=0.8)]
    if not alike:
        alike = asking.get("images elsewhere", partial(_elsewhere, asking.project, key)) or []
    return {
        "unfinished": next((it["Initiated"] for it in begun or [] if it["Key"] == key), None),
        "similar": tuple(alike),
    }


def _elsewhere(project: Project, key: str) -> list[str]:
    """Return keys that are called so, or end so, in another folder: of the latest images."""
    short = images.short(project.graph.prefix, key)
    latest = islice(rows.by_status(project, rows.STATUSES, page_size=LATEST // 10), LATEST)
    known = [row["key"] for row in latest]
    name = short.rpartition("/")[2]
    ends = [it for it in known if it.endswith(f"/{short}")]
    return (ends or [it for it in known if it.endswith(f"/{name}")])[:3]


def _missing(asking: _Asking, known: Facts) -> dict[str, Any]:
    """Return the outputs that the row names and that aren't there."""
    row = known.row_of_subject
    named = [made["key"] for made in (row or {}).get("outputs", {}).values()]
    s3, bucket = asking.project.cloud.client("s3"), asking.project.graph.variants_bucket

    def gone(key: str) -> bool:
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except s3.exceptions.ClientError as error:
            if isinstance(explain(error, key), MissingError):
                return True
            raise
        return False

    lost = asking.get("the outputs", lambda: tuple(key for key in named if gone(key)))
    return {"missing": lost or ()}


def _claims(asking: _Asking, known: Facts) -> dict[str, Any]:
    told = asking.get("the notices", lambda: tuple(claims.of_key(asking.project, known.key)))
    sent = any(claim.sent_at for claim in told or ())
    nobody = sent and asking.get("who gets notices", partial(_nobody, asking.project))
    return {"claims": told or (), "unconfirmed": bool(nobody)}


def _nobody(project: Project) -> bool:
    """Say whether all who are to get notices are addresses that haven't confirmed."""
    from imgpipe.operate.provision import unconfirmed

    mail = [it for it in project.graph.of(Subscription) if it.protocol == "email"]
    topics = {it.topic for it in mail}
    others = [it for it in project.graph.of(Subscription) if it.topic in topics and it not in mail]
    return bool(mail) and not others and {it.endpoint for it in mail} <= set(unconfirmed(project))


def _depths(asking: _Asking) -> dict[str, Any]:
    """Return how full each queue is that feeds a function or worker."""
    graph = asking.project.graph
    sqs = asking.project.cloud.client("sqs")
    found: dict[str, Depth] = {}
    for queue in [branch.queue for branch in graph.branches if branch.queue]:
        url = graph.place.queue_url(queue)
        answer = asking.get(
            f"queue {queue}",
            lambda url=url: sqs.get_queue_attributes(  # type: ignore[misc]
                QueueUrl=url, AttributeNames=list(_DEPTHS.values())
            )["Attributes"],
        )
        if answer:
            found[queue] = Depth(**{word: int(answer[name]) for word, name in _DEPTHS.items()})
    return {"depths": found}


def _letters(asking: _Asking, known: Facts) -> dict[str, Any]:
    """Return the dead letters about the version."""
    project = asking.project
    if _settled(known):
        return {}
    wanted = known.subject.id if known.subject and not known.subject.marker else None

    def read() -> tuple[Letter, ...]:
        sqs = project.cloud.client("sqs")
        homes = [it for it in queues.homes(project.graph) if find.waiting(sqs, it.url)]
        about = [
            letter
            for letter in find.letters(project, homes)
            if letter.key == known.key and (wanted is None or letter.version_id in (None, wanted))
        ]
        return tuple(causes.explained(project, about))

    return {"letters": asking.get("the dead letters", read) or ()}


def _wiring(asking: _Asking, known: Facts) -> dict[str, Any]:
    """Return what is not there, or not as declared. It takes a hundred calls, so only where something is amiss."""
    if _settled(known) or (known.row_of_subject or {}).get("status") == "rejected":
        return {}

    def differences() -> dict[Key, str]:
        from imgpipe.deploy import plan as planning
        from imgpipe.deploy.observe import observe
        from imgpipe.operate.provision import site_of

        declared = asking.project.graph.resources
        there = observe(site_of(asking.project), declared).resources
        return {
            action.key: "it is not there"
            if action.before is None
            else f"it is not as declared: {action.reason}"
            for action in planning.pending(planning.plan(declared, there))
            if action.key in declared
        }

    return {"wiring": asking.get("the live wiring", differences) or {}}


def _settled(known: Facts) -> bool:
    """Say whether the row tells the end of the version, and a good one."""
    row = known.row_of_subject
    if row is None:
        return False
    removed = known.subject is not None and known.subject.marker
    return row["status"] == ("removed" if removed else "done") or (
        known.subject is None and row["status"] == "removed"
    )
