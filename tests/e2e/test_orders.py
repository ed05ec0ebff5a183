"""Put, put, delete, put of the same bytes on one key, told of late, more than once, in an order that a seed shuffled,
and by ourselves. That every order ends alike is a law in `tests/property/test_orders`.
"""

from __future__ import annotations

import json
import random

import pytest

from imgpipe.cloud import Cloud, local_target
from imgpipe.operate.audit.law import Upload
from imgpipe.operate.audit.remedy import notification
from imgpipe.operate.project import Project, open_project
from imgpipe.operate.why.facts import Version
from tests.e2e.pipeline import Pipeline
from tests.pictures import corners, encoded

KEY = "incoming/orders/a.jpg"


def _events(project: Project) -> list[tuple[str, str]]:
    """Return late events about each version of the key, with the branch's queue that each goes to."""
    s3, graph = project.cloud.client("s3"), project.graph
    there = s3.list_object_versions(Bucket=graph.uploads_bucket, Prefix=KEY)
    found = []
    for it in there["Versions"]:
        size, etag = it["Size"], it["ETag"].strip('"')
        version = Version(
            id=it["VersionId"], at=it["LastModified"], size=size, etag=etag, latest=it["IsLatest"]
        )
        body = json.dumps(notification(graph, Upload(key=KEY, latest=version), ""))
        found += [("enhance", body), ("images", body)]
    for it in there["DeleteMarkers"]:
        version = Version(
            id=it["VersionId"], at=it["LastModified"], size=0, etag="", latest=False, marker=True
        )
        name = "ObjectRemoved:DeleteMarkerCreated"
        event = notification(graph, Upload(key=KEY, latest=version), "01", name)
        found.append(("tidy", json.dumps(event)))
    return found


@pytest.mark.slow
@pytest.mark.fault("F-21", "F-47")
def test_put_put_delete_put_ends_in_one_row_and_its_outputs(studio: Pipeline) -> None:
    project = open_project(studio.folder / "pipeline.yaml", "local")
    cloud, graph = Cloud(local_target(studio.folder)), project.graph
    s3, sqs = cloud.client("s3"), cloud.client("sqs")
    picture = encoded(corners(300, 200))
    for what in ("put", "put", "delete", "put"):
        if what == "put":
            last = s3.put_object(Bucket=graph.uploads_bucket, Key=KEY, Body=picture)["VersionId"]
        else:
            s3.delete_object(Bucket=graph.uploads_bucket, Key=KEY)
    chance = random.Random(4)
    late = [event for event in _events(project) for _ in range(chance.randint(1, 3))]
    chance.shuffle(late)
    for queue, body in late:
        sqs.send_message(QueueUrl=graph.place.queue_url(graph.queues[queue]), MessageBody=body)

    def ended() -> bool:
        done = studio.run("metadata", "show", KEY, "--json", code=None)
        if done.code:
            return False
        row = done.json
        named = {made["key"] for made in row["outputs"].values()}
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=graph.variants_bucket)
        keys = {it["Key"] for page in pages for it in page.get("Contents", ())}
        made = {key for key in keys if "/orders/" in key}
        return (row["status"], row["version_id"]) == ("done", last) and made == named

    studio.wait_for("row with just its outputs", ended)
    waiting = ("enhance", "images", "tidy", "results")
    studio.wait_for("quiet", lambda: not any(_held(sqs, project, queue) for queue in waiting))
    assert ended(), "what came last undid it"


def _held(sqs: object, project: Project, queue: str) -> int:
    from imgpipe.operate.dlq import find

    return find.held(sqs, project.graph.place.queue_url(project.graph.queues[queue]))
