"""A long audit, interrupted: it goes on where it stopped, says each thing once, and balances."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from imgpipe.operate import ops
from imgpipe.operate.audit import walk
from imgpipe.operate.dlq import find, queues, rescue
from imgpipe.operate.project import Project
from imgpipe.operate.times import iso
from tests.studio import (
    create_buckets,
    create_queues,
    create_table,
    put_row,
    result,
    s3_event,
    studio,
)

KEYS = 2 * walk.BATCH + 10
"""Three batches."""


@pytest.fixture
def project(clients: object) -> Project:
    """The studio on moto, with uploads that nobody heard of."""
    made = studio()
    create_buckets(made)
    create_queues(made)
    create_table(made)
    s3 = made.cloud.client("s3")
    for number in range(KEYS):
        key = f"incoming/{number:05}.txt"
        s3.put_object(Bucket=made.graph.uploads_bucket, Key=key, Body=b"x")
    return made


def test_an_interrupted_audit_goes_on_where_it_stopped(project: Project) -> None:
    whole = _audit(project, resume=False)
    assert len(whole) == KEYS

    tally = walk.begin(project, "", resume=False)
    running = walk.walk(project, tally, timedelta(0))
    first = [finding.key for finding in islice(running, walk.BATCH + 5)]
    running.close()  # type: ignore[attr-defined]
    noted = ops.read(project, walk.note_name("incoming/"))
    assert noted is not None
    assert noted["after"] == first[walk.BATCH - 1]

    rest = _audit(project, resume=True)
    assert first[: walk.BATCH] + rest == whole
    assert ops.read(project, walk.note_name("incoming/")) is None


def _audit(project: Project, *, resume: bool) -> list[str]:
    tally = walk.begin(project, "", resume=resume)
    found = [finding.key for finding in walk.walk(project, tally, timedelta(0))]
    assert tally.balanced
    assert tally.versions == tally.statuses["none"] == KEYS
    return found


@pytest.mark.fault("F-36")
def test_a_queue_that_somebody_deleted_holds_nothing_and_ends_no_audit(project: Project) -> None:
    sqs, graph = project.cloud.client("sqs"), project.graph
    url = graph.place.queue_url(graph.queues["enhance"])
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert find.held(sqs, url) == 1
    sqs.delete_queue(QueueUrl=url)
    assert find.held(sqs, url) == 0
    assert walk.law_of(project, timedelta(0)).busy == frozenset()


@pytest.mark.parametrize("queue", ["results", "results-dlq"])
def test_an_output_is_no_orphan_while_results_wait(project: Project, queue: str) -> None:
    """After an hour without a table, thousands of outputs are older than any grace and named by no row yet."""
    s3, graph = project.cloud.client("s3"), project.graph
    s3.put_object(Bucket=graph.variants_bucket, Key="thumb/x.0123456789ab.jpg", Body=b"x")
    tally = walk.begin(project, "", resume=False)
    assert "orphan" in {finding.kind for finding in walk.walk(project, tally, timedelta(0))}
    url = graph.place.queue_url(graph.queues[queue])
    project.cloud.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    tally = walk.begin(project, "", resume=False)
    assert "orphan" not in {finding.kind for finding in walk.walk(project, tally, timedelta(0))}


def test_an_archived_letter_still_holds_its_image(clients: object) -> None:
    """Healing would send again what somebody put aside: it would only fail again."""
    project = studio()
    create_buckets(project)
    create_queues(project)
    create_table(project)
    s3, graph = project.cloud.client("s3"), project.graph
    version = s3.put_object(Bucket=graph.uploads_bucket, Key="incoming/a.jpg", Body=b"x")[
        "VersionId"
    ]
    error = {"class": "Rejected", "reason": "truncated_image"}
    now = iso(datetime.now(UTC) - timedelta(seconds=1))
    said = {"status": "rejected", "version_id": version, "error": error, "outputs": {}, "at": now}
    put_row(project, result("incoming/a.jpg", **said))
    project.cloud.client("sqs").send_message(
        QueueUrl=graph.place.queue_url(graph.rejected_queue),
        MessageBody=json.dumps(s3_event("incoming/a.jpg", version)),
    )

    def kinds() -> list[str]:
        tally = walk.begin(project, "", resume=False)
        return [finding.kind for finding in walk.walk(project, tally, timedelta(0))]

    assert kinds() == []
    homes = queues.homes(graph)
    assert [it.status for it in rescue.archive(project, homes, find.letters(project, homes))] == [
        "moved"
    ]
    assert kinds() == []
    [kept] = rescue.archived(project)
    ops.remove(project, f"{rescue.FOLDER}{kept.id}.json")
    assert kinds() == ["letterless"]


def test_what_no_rule_hears_of_is_counted_by_itself(project: Project) -> None:
    declared = project.spec.model_copy(
        update={"uploads": project.spec.uploads.model_copy(update={"suffixes": (".jpg",)})}
    )
    picky = replace(project, spec=declared)
    tally = walk.begin(picky, "", resume=False)
    assert list(walk.walk(picky, tally, timedelta(0))) == []
    assert tally.balanced
    assert +tally.statuses == {"unheard": KEYS}
