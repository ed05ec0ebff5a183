"""An edited variant is seen in `plan` and made again alone; uploads from before the pipeline are worked on once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgpipe.local import lifecycle
from tests.cloud_fixture import EmbeddedCloud
from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PHOTO = DEMO / "rocket.jpg"
NAMES = [f"{number}.jpg" for number in range(6)]


def cloud_of(pipeline: Pipeline) -> EmbeddedCloud:
    running = lifecycle.status(pipeline.folder)
    assert running is not None
    return EmbeddedCloud(pipeline.folder, running)


def rows(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in pipeline.run("metadata", "list", "--json").json}


def reprocess(pipeline: Pipeline, *args: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = pipeline.run("reprocess", *args, "--json", code=code).json
    return found


@pytest.mark.capability("X6")
def test_an_edited_variant_is_seen_in_the_plan_and_made_again_alone(own_studio: Pipeline) -> None:
    studio = own_studio
    album = studio.folder / "album"
    album.mkdir()
    for name in NAMES:
        (album / name).write_bytes(PHOTO.read_bytes())
    studio.run("upload", album, "--wait")
    before = rows(studio)
    assert len(before) == 6
    assert studio.run("plan", "--json").json["stale"]["images"] == 0

    edited = studio.folder / "pipeline.yaml"
    edited.write_text(
        edited.read_text().replace("width: 200, height: 200", "width: 90, height: 90")
    )
    planned = studio.run("plan", "--json").json["stale"]
    assert (planned["images"], planned["steps"]) == (6, {"thumbnail": 6})
    assert planned["dollars"] > 0
    assert planned["seconds"] > 0
    assert "imgpipe reprocess --stale" in studio.run("plan").out
    refused = studio.run("reprocess", "--stale", "--yes", code=3)
    assert "imgpipe up" in refused.err

    studio.run("up", "--yes")
    counted = reprocess(studio, "--stale", "--dry-run", "--images", "4")
    assert (counted["found"]["images"], counted["within_budget"]["images"]) == (6, 4)
    assert studio.run("backfill", "--runs", "--json").json == []
    assert reprocess(studio, "--stale", "--images", "4", "--yes")["sent"] == 4
    assert reprocess(studio, "--stale", "--yes")["sent"] == 2
    assert reprocess(studio, "--stale", "--yes")["images"] == 0

    def made_again() -> bool:
        return all(row["outputs"]["thumb"]["width"] == 90 for row in rows(studio).values())

    studio.wait_for("new thumbnails", made_again)
    assert reprocess(studio, "--stale", "--yes")["images"] == 0
    assert studio.run("plan", "--json").json["stale"]["images"] == 0
    for key, row in rows(studio).items():
        assert row["status"] == "done"
        assert row["steps"]["thumbnail"]["at"] > before[key]["steps"]["thumbnail"]["at"]
        for step in ("enhance", "sizes", "metadata"):
            assert row["steps"][step] == before[key]["steps"][step]

    s3 = cloud_of(studio).client("s3")
    bucket = studio.run("outputs", "variants_bucket", "--raw").out.strip()

    def tidied() -> bool:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="thumb/")["Contents"]
        return {it["Key"] for it in listed} == {
            row["outputs"]["thumb"]["key"] for row in rows(studio).values()
        }

    studio.wait_for("no former thumbnails", tidied)


@pytest.mark.capability("X7")
def test_uploads_from_before_the_pipeline_are_worked_on_once(tmp_path: Path) -> None:
    pipeline = Pipeline.copy_to(tmp_path)
    try:
        _bucket_with_uploads(pipeline)
        pipeline.run("up", "--yes")
        counted = pipeline.run("backfill", "--dry-run", "--json").json
        assert counted["found"]["images"] == 6
        cost = counted["found"]["dollars"]
        short = pipeline.run("backfill", "--budget", f"{cost / 2:.9f}", "--yes", "--json").json
        assert 1 <= short["sent"] <= 3
        assert short["charged"] <= cost / 2
        rest = pipeline.run("backfill", "--yes", "--json").json
        assert short["sent"] + rest["sent"] == 6
        pipeline.wait_for(
            "all done", lambda: [row["status"] for row in rows(pipeline).values()] == ["done"] * 6
        )
        last = pipeline.run("backfill", "--yes", "--json").json
        assert (last["images"], last["passed_over"]) == (0, {"fresh": 6})
        pipeline.run("audit", "--grace", "0s")
    finally:
        pipeline.run("local", "stop", code=None)


def _bucket_with_uploads(pipeline: Pipeline) -> None:
    """Make the uploads bucket by hand, handed over by its tags, with photographs in it."""
    pipeline.run("local", "start")
    cloud = cloud_of(pipeline)
    s3, account = cloud.client("s3"), cloud.client("sts").get_caller_identity()["Account"]
    bucket = f"photo-studio-local-uploads-{account}-us-east-1"
    s3.create_bucket(Bucket=bucket)
    tags = {"imgpipe:pipeline": "photo-studio", "imgpipe:env": "local"}
    pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs})
    for name in NAMES:
        s3.put_object(Bucket=bucket, Key=f"incoming/{name}", Body=PHOTO.read_bytes())
