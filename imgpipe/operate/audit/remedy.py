"""What a finding needs, and doing it: an event to just the branches that lack a step, a result, a removal, a deletion.

Each remedy is what the pipeline itself would have done, through the pipeline's own queues, so it can be done twice.
Nothing is published to the topic: branches that have done their work don't hear of it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from imgpipe.cloud import explain
from imgpipe.deploy.names import RESULTS
from imgpipe.operate.audit import owners
from imgpipe.operate.branches import creators, settings_of, tidiers
from imgpipe.operate.times import iso
from imgpipe.runtime import results
from imgpipe.runtime.results import Origin, Problem, StepResult

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Branch, Graph
    from imgpipe.operate.audit.law import Finding, Upload
    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.project import Project

LEFT = {
    "before": "left to imgpipe backfill, which has a budget",
    "unsent": "not sent again: a notice goes out at most once",
}
MANY = 1_000_000
"""Attempts that a step may have of which nothing new is said."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message to a branch's queue."""

    queue: str  # short name, or the branch's, for people
    url: str
    body: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """An event to a function that has no queue."""

    branch: str
    function: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What is to be done about a finding, in words and as calls; no calls when nothing can be done here."""

    words: str
    calls: tuple[Send | Invoke, ...] = ()


def remedy(graph: Graph, finding: Finding) -> Remedy:
    """Return what mends `finding`. Pure."""
    match finding.kind:
        case "missing" | "letterless" if finding.done:
            return _remind(graph, finding)
        case "missing" | "unmade" | "letterless":
            return _emit(graph, finding)
        case "stale":
            told = results.removed(
                finding.key, finding.version_id, finding.sequencer, iso(datetime.now(UTC))
            )
            return Remedy(words="the row becomes a tombstone", calls=(_result(graph, told),))
        case "letter":
            return _tell(graph, finding)
        case "orphan":
            return _tidy(graph, finding)
        case "before" | "unsent":
            return Remedy(words=LEFT[finding.kind])


def heal(project: Project, what: Remedy) -> None:
    """Do it. Raises CloudError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        for call in what.calls:
            match call:
                case Send():
                    project.cloud.client("sqs").send_message(
                        QueueUrl=call.url, MessageBody=call.body
                    )
                case Invoke():
                    project.cloud.client("lambda").invoke(
                        FunctionName=call.function,
                        InvocationType="Event",
                        Payload=call.body.encode(),
                    )
    except (BotoCoreError, ClientError) as error:
        raise explain(error, "healing") from error


def made_again(graph: Graph, finding: Finding) -> frozenset[str]:
    """Return the names, without their endings, of the outputs that healing `finding` makes again."""
    heals = finding.kind in {"missing", "unmade", "letterless"}
    if finding.upload is None or not heals or not finding.steps:
        return frozenset()
    version_id = finding.upload.latest.id
    return owners.called(graph, finding.key, version_id, finding.sequencer, finding.steps)


def event(graph: Graph, finding: Finding) -> dict[str, Any]:
    """Return S3's notification of the upload, as it would have been but for the sequencer."""
    if finding.upload is None:
        raise ValueError("a finding without an upload has no event")
    return notification(graph, finding.upload, finding.sequencer)


def notification(
    graph: Graph, upload: Upload, sequencer: str, name: str = "ObjectCreated:Put"
) -> dict[str, Any]:
    """Return S3's notification of a version, with a place in the order of its key's changes that is given."""
    version = {"versionId": upload.latest.id} if upload.latest.id else {}
    thing = {
        "key": quote_plus(upload.key, safe="/"),
        "size": upload.latest.size,
        "eTag": upload.latest.etag,
        "sequencer": sequencer,
        **version,
    }
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": graph.place.region,
        "eventTime": iso(upload.latest.at),
        "eventName": name,
        "s3": {"bucket": {"name": graph.uploads_bucket}, "object": thing},
    }
    return {"Records": [record]}


def _emit(graph: Graph, finding: Finding) -> Remedy:
    """Send the upload's event to the branches that lack a step of it, and to no other."""
    branches = [it for it in creators(graph) if set(it.steps) & set(finding.steps)]
    if not branches:
        return Remedy(words="nothing in pipeline.yaml makes it any more")
    body = json.dumps(event(graph, finding), ensure_ascii=False)
    calls = tuple(to_branch(graph, branch, body) for branch in branches)
    return Remedy(
        words=f"sent again to {', '.join(branch.name for branch in branches)}", calls=calls
    )


def to_branch(graph: Graph, branch: Branch, body: str) -> Send | Invoke:
    """Return the call that brings an event to just this branch."""
    if branch.queue:
        return Send(branch.name, graph.place.queue_url(branch.queue), body)
    return Invoke(branch.name, str(branch.function), body)


def _tell(graph: Graph, finding: Finding) -> Remedy:
    """Tell the writer what the dead letters say."""
    told = [each for letter in finding.letters for each in _said(graph, finding, letter)]
    if not told:
        queue = finding.letters[0].queue
        return Remedy(words=f"redrive it: imgpipe dlq redrive --queue {queue}")
    return Remedy(
        words="the row is told", calls=tuple(_result(graph, each.document()) for each in told)
    )


def _remind(graph: Graph, finding: Finding) -> Remedy:
    """Have the writer look at the row again, with the steps that are expected now. All else it is told loses."""
    found = [
        (branch, step)
        for branch in creators(graph)
        for step in branch.steps
        if step in finding.done
    ]
    if not found or finding.upload is None:
        return Remedy(words="no step of it is left in pipeline.yaml")
    [(branch, step), *_] = found
    told = _result_of(branch, step, finding, finding.upload).document()
    return Remedy(words="the row is told what is expected now", calls=(_result(graph, told),))


def _said(graph: Graph, finding: Finding, letter: Letter) -> Iterator[StepResult]:
    branch = next((it for it in creators(graph) if it.name == letter.branch), None)
    if branch is None or finding.upload is None:
        return
    rejected = letter.kind == "rejected"
    message = letter.message if rejected else letter.reason or "found among the dead letters"
    reason = letter.reason if rejected else ""
    for step in letter.steps or branch.steps:
        yield replace(
            _result_of(branch, step, finding, finding.upload),
            code_hash=letter.code_hash,
            status="rejected" if rejected else "failed",
            attempt_id=f"audit:{letter.id}",
            problem=Problem(kind=letter.error or "DeadLetter", message=message, reason=reason),
        )


def _result_of(branch: Branch, step: str, finding: Finding, upload: Upload) -> StepResult:
    """Return what a step of `branch` says of the upload before it knows the end: that it will try again."""
    settings, latest = settings_of(branch), upload.latest
    return StepResult(
        origin=Origin(
            key=finding.key,
            version_id=latest.id,
            sequencer=finding.sequencer,
            etag=latest.etag,
            size=latest.size,
            uploaded_at=iso(latest.at),
        ),
        step=step,
        function=branch.name,
        settings_hash=settings.settings_hash,
        step_hash=str(settings.steps.get(step, {}).get("hash", "")),
        code_hash="",
        status="retrying",
        attempt_id=f"audit:{latest.id}",
        max_attempts=MANY,
        at=iso(datetime.now(UTC)),
    )


def _tidy(graph: Graph, finding: Finding) -> Remedy:
    """Hand the outputs to tidy, the only code that deletes any."""
    branch = next(iter(tidiers(graph)), None)
    if branch is None or branch.queue is None:
        return Remedy(words="left: this pipeline has no step that deletes outputs")
    body = results.dumps(results.unnamed(finding.owners, finding.outputs))
    url = graph.place.queue_url(branch.queue)
    return Remedy(words=f"handed to {branch.name}", calls=(Send(branch.name, url, body),))


def _result(graph: Graph, told: dict[str, Any]) -> Send:
    return Send(RESULTS, graph.place.queue_url(graph.queues[RESULTS]), results.dumps(told))
