"""`imgpipe audit`: whatever was lost behind the pipeline's back is named, healed, and then proven whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.e2e.pipeline import Pipeline
from tests.e2e.test_why import PHOTO, Studio

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.capability("X1")]


@pytest.fixture
def audited(own_studio: Pipeline) -> Studio:
    return Studio(own_studio)


def audit(studio: Studio, *args: str, code: int | None = 0) -> dict[str, Any]:
    found: dict[str, Any] = studio.pipeline.run(
        "audit", *args, "--grace", "0s", "--json", code=code, timeout_s=300
    ).json
    return found


def settled(studio: Studio) -> bool:
    queues = studio.pipeline.run("status", "--json").json["queues"]
    return not any(it["visible"] + it["in_flight"] for it in queues if not it["dead_letters"])


@pytest.mark.fault("F-36", "F-45")
def test_what_was_lost_is_named_and_healed_and_nothing_else_is_touched(audited: Studio) -> None:
    studio, s3 = audited, audited.client("s3")
    uploads, variants = studio.outputs["uploads_bucket"], studio.outputs["variants_bucket"]
    for folder in ("fine", "unmade", "overwritten", "gone", "marked"):
        studio.pipeline.run("upload", PHOTO, "--prefix", folder, "--wait")
    studio.put("text.jpg", b"no image at all")
    studio.pipeline.wait_for(
        "the rejection", lambda: studio.why("text.jpg")["status"] == "rejected"
    )
    studio.pipeline.wait_for("quiet", lambda: settled(studio))
    assert audit(studio)["findings"] == []

    rules = s3.get_bucket_notification_configuration(Bucket=uploads)
    rules.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=uploads, NotificationConfiguration={})
    studio.put("lost event.jpg")
    studio.put("overwritten/rocket.jpg")
    s3.delete_object(Bucket=uploads, Key="incoming/marked/rocket.jpg")
    for it in s3.list_object_versions(Bucket=uploads, Prefix="incoming/gone/")["Versions"]:
        s3.delete_object(Bucket=uploads, Key=it["Key"], VersionId=it["VersionId"])
    s3.put_bucket_notification_configuration(Bucket=uploads, NotificationConfiguration=rules)
    row = studio.pipeline.run("metadata", "show", "unmade/rocket.jpg", "--json").json
    s3.delete_object(Bucket=variants, Key=row["outputs"]["medium"]["key"])
    s3.put_object(Bucket=variants, Key="thumb/ghost.0123456789ab.jpg", Body=b"x")
    studio.client("sqs").purge_queue(QueueUrl=studio.queue("rejected"))

    found = audit(studio, code=3)
    kinds = Counter(it["kind"] for it in found["findings"])
    assert kinds == {"missing": 2, "stale": 2, "unmade": 1, "orphan": 1, "letterless": 1}
    assert found["summary"]["balanced"]
    assert found["summary"]["statuses"]["none"] == 2
    planned = audit(studio, "--heal", "--dry-run", code=3)
    assert all(it["remedy"] and not it["healed"] for it in planned["findings"])
    assert audit(studio, code=3)["summary"]["counts"] == found["summary"]["counts"]

    fine = studio.pipeline.run("metadata", "show", "fine/rocket.jpg", "--json").json
    healed = audit(studio, "--heal", "--yes")
    assert healed["summary"]["healed"] == 7

    def whole() -> bool:
        return settled(studio) and not audit(studio, code=None)["findings"]

    studio.pipeline.wait_for("a whole pipeline", whole, 150)
    statuses = audit(studio)["summary"]["statuses"]
    assert (statuses["done"], statuses["rejected"], statuses["none"]) == (4, 1, 0)
    assert studio.pipeline.run("metadata", "show", "fine/rocket.jpg", "--json").json == fine
    assert studio.why("lost event.jpg")["status"] == "done"
