"""Uploads in a bucket that was there before, with results beside them: its owner's things stay, ours come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BUCKET = "their-photos"
PIPELINE = f"""\
version: 1
name: guest
uploads: {{bucket: {BUCKET}, prefix: incoming/, outputs: processed/}}
steps:
  small: {{via: function, variants: {{small: {{width: 60}}}}}}
  again: {{on: restored, variants: {{again: {{width: 60}}}}}}
  words: {{on: tagged, exif: true}}
  tidy:  {{on: removed}}
lambda: {{timeout: 60s, backoff: 1s}}
"""


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Pipeline]:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    pipeline = Pipeline(tmp_path)
    try:
        pipeline.run("local", "start")
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


def entries(s3: Any) -> dict[str, str]:
    """Return the targets that the bucket tells, by the entries' ids."""
    told = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    return {it["Id"]: it["TopicArn"] for it in told.get("TopicConfigurations", [])}


def keys(s3: Any, prefix: str = "") -> set[str]:
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {it["Key"] for it in listed}


@pytest.mark.capability("S1-8", "S2-1", "S2-4")
def test_a_pipeline_is_a_guest_in_a_bucket_that_was_there(guest: Pipeline) -> None:
    missing = guest.run("plan", code=None)
    assert missing.code == 1
    assert "pipeline.yaml says that it is there already, and it isn't" in missing.err

    s3 = guest.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="theirs.txt", Body=b"theirs")
    theirs = guest.client("sns").create_topic(Name="theirs")["TopicArn"]
    rule = {"Id": "audit", "TopicArn": theirs, "Events": ["s3:ObjectAcl:Put"]}
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"TopicConfigurations": [rule]}
    )
    assert "keeps no versions" in guest.run("plan").out

    guest.run("up", "--yes")
    ours = {f"imgpipe-guest-local-{it}" for it in ("uploaded", "removed", "restored", "tagged")}
    assert set(entries(s3)) == {"audit", *ours}
    told = {
        it["id"]: it["events"] for it in guest.run("events", "--bucket", "--json").json["rules"]
    }
    assert told == {
        "audit": ["s3:ObjectAcl:Put"],
        "imgpipe-guest-local-uploaded": ["s3:ObjectCreated:*"],
        "imgpipe-guest-local-removed": ["s3:LifecycleExpiration:*", "s3:ObjectRemoved:*"],
        "imgpipe-guest-local-restored": ["s3:ObjectRestore:Completed"],
        "imgpipe-guest-local-tagged": ["s3:ObjectTagging:*"],
    }
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    guest.run("upload", DEMO / "rocket.jpg", "--wait")
    [made] = keys(s3, "processed/")
    assert made.startswith("processed/small/rocket.")
    found = {it["id"]: it for it in guest.run("doctor", "--json", code=3).json}
    assert found["existing-bucket"]["what"].startswith(f"bucket {BUCKET}: ")
    assert not {"trigger-notification", "loop", "drift"} & set(found)
    guest.run("plan", "--check")

    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"TopicConfigurations": [rule]}
    )
    assert "notification" in guest.run("plan", "--check", code=3).out  # somebody replaced ours
    guest.run("up", "--yes")
    s3.delete_object(Bucket=BUCKET, Key="incoming/rocket.jpg")
    guest.wait_for("the results to go", lambda: not keys(s3, "processed/"))

    said = guest.run("down", "--yes", "--delete-data").err
    assert f"left: {BUCKET}, which was there before the pipeline" in said
    assert "takes them down too" not in said
    assert entries(s3) == {"audit": theirs}
    assert keys(s3) == {"theirs.txt"}
