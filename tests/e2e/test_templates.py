"""Each template, begun as a person begins it: init, up, a real photograph, its outputs, down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployed import fetch
from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("templates")]
PHOTO = DEMO / "picos.jpg"


@contextmanager
def project(name: str, folder: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline.from_template(name, folder)
    try:
        pipeline.run("up", "--yes")
        yield pipeline
        pipeline.run("down", "--yes", "--delete-data")
        assert "nothing" in pipeline.run("down", "--yes", "--delete-data").err.lower()
    finally:
        pipeline.run("local", "stop", code=None)


def upload(pipeline: Pipeline, *photos: Path, **told: str) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = pipeline.run("upload", *photos, "--wait", "--json").json
    assert [image["status"] for image in images] == ["done"] * len(photos)
    return images


def stored(pipeline: Pipeline) -> list[str]:
    bucket = pipeline.run("outputs", "variants_bucket", "--raw").out.strip()
    found = pipeline.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [each["Key"] for each in found if not each["Key"].startswith("ops/")]


@pytest.mark.capability("S2-5")
def test_point_to_point(tmp_path: Path) -> None:
    with project("point-to-point", tmp_path) as pipeline:
        [image] = upload(pipeline, PHOTO)
        facts = pipeline.run("metadata", "show", "picos.jpg", "--json").json["facts"]
        assert not image["outputs"]
        assert (facts["width"], facts["height"]) == (3264, 2448)
        assert facts["tags"]
        queues = {it["name"] for it in pipeline.run("status", "--json").json["queues"]}
        assert "describe" not in queues  # nothing waits between S3 and the function
        assert "describe-dlq" in queues  # but nothing is lost


@pytest.mark.capability("S2-7")
def test_queued(tmp_path: Path) -> None:
    photos = sorted(DEMO.glob("*.jpg"))[:4]
    with project("queued", tmp_path) as pipeline:
        upload(pipeline, *photos)
        assert {key.split("/")[0] for key in stored(pipeline)} == {"small", "large"}
        assert "uploaded_topic_arn" not in pipeline.run("outputs", "--json").json


@pytest.mark.capability("S2-11")
def test_fan_out(tmp_path: Path) -> None:
    with project("fan-out", tmp_path) as pipeline:
        [image] = upload(pipeline, PHOTO)
        assert {name: made["width"] for name, made in image["outputs"].items()} == {
            "small": 320,
            "medium": 800,
            "large": 1600,
        }
        branches = {
            it["name"]: it["queue"] for it in pipeline.run("status", "--json").json["steps"]
        }
        assert {name: branches[name] for name in image["outputs"]} == {
            "small": "small",
            "medium": "medium",
            "large": "large",
        }


@pytest.mark.capability("S2-13")
def test_fan_out_delete(tmp_path: Path) -> None:
    with project("fan-out-delete", tmp_path) as pipeline:
        [image] = upload(pipeline, PHOTO)
        assert len(stored(pipeline)) == 3
        bucket = pipeline.run("outputs", "uploads_bucket", "--raw").out.strip()
        pipeline.client("s3").delete_object(Bucket=bucket, Key=image["key"])
        pipeline.wait_for("empty bucket of variants", lambda: not stored(pipeline))
        row = pipeline.run("metadata", "show", "picos.jpg", "--json").json
        assert row["status"] == "removed"


@pytest.mark.capability("S3-1")
@pytest.mark.capability("S3-2")
@pytest.mark.capability("S3-3")
def test_resizer(tmp_path: Path) -> None:
    with project("resizer", tmp_path) as pipeline:
        [image] = upload(pipeline, PHOTO)
        folders = {key.split("/")[0] for key in stored(pipeline)}
        assert folders == {"thumbnails", "medium", "large"}
        sizes = {name: (made["width"], made["height"]) for name, made in image["outputs"].items()}
        assert sizes["thumbnails"] == (150, 150)
        assert sizes["medium"][0] == 800
        s3 = pipeline.client("s3")
        bucket = pipeline.run("outputs", "uploads_bucket", "--raw").out.strip()
        told = s3.get_bucket_notification_configuration(Bucket=bucket)
        endings = {
            test["Value"]
            for rule in told["QueueConfigurations"]
            for test in rule["Filter"]["Key"]["FilterRules"]
            if test["Name"].lower() == "suffix"
        }
        assert {".jpg", ".JPG", ".Jpg", ".webp", ".WEBP"} <= endings
        assert "TopicConfigurations" not in told


@pytest.mark.capability("S4-1")
@pytest.mark.capability("S4-2")
@pytest.mark.capability("S4-3")
@pytest.mark.capability("S4-9")
def test_thumbnail_metadata(tmp_path: Path) -> None:
    shouting = tmp_path / "PICOS.JPG"
    shouting.write_bytes(PHOTO.read_bytes())
    folder = tmp_path / "project"
    folder.mkdir()
    with project("thumbnail-metadata", folder) as pipeline:
        [image] = upload(pipeline, shouting)
        assert list(image["outputs"]) == ["thumbnails"]
        outputs = pipeline.run("outputs", "--json").json
        assert outputs["uploads_bucket"] != outputs["variants_bucket"]
        table = pipeline.client("dynamodb")
        key = {"pk": {"S": image["key"]}, "sk": {"S": "image"}}
        row = table.get_item(TableName=outputs["table"], Key=key)["Item"]
        assert row["status"]["S"] == "done"
        functions = {
            it["name"]: it["queue"] for it in pipeline.run("status", "--json").json["steps"]
        }
        assert functions["processor"] is None  # S3 -> Lambda
        assert functions["writer"] == "results"  # SQS -> Lambda


@pytest.mark.capability("S2-14")
def test_notify(tmp_path: Path) -> None:
    with project("notify", tmp_path) as pipeline:
        waiting = pipeline.run("status", "--json").json["unconfirmed"]
        assert {it["address"] for it in waiting} == {"studio@example.com", "ops@example.com"}
        pipeline.run("local", "mail", "confirm", "--all")
        assert not pipeline.run("status", "--json").json["unconfirmed"]
        upload(pipeline, PHOTO)
        subjects = pipeline.wait_for("two notices", lambda: _subjects(pipeline, 2))
        assert {"Received: picos.jpg", "Ready: picos.jpg"} <= set(subjects)
        mails = pipeline.run("local", "mail", "--json").json
        [ready] = [mail for mail in mails if mail["subject"] == "Ready: picos.jpg"]
        text = pipeline.run("local", "mail", "show", str(mails.index(ready) + 1)).out
        [link] = [line for line in text.splitlines() if "X-Amz-Signature" in line]
        assert fetch(link)[1].startswith(b"\xff\xd8")  # a JPEG, to whoever has the link
        assert fetch(link.partition("?")[0])[0] == 403


def _subjects(pipeline: Pipeline, count: int) -> list[str]:
    mails = pipeline.run("local", "mail", "--json").json
    found = [mail["subject"] for mail in mails if "picos" in mail["subject"]]
    return found if len(found) >= count else []


@pytest.mark.capability("S1-5")
@pytest.mark.capability("S1-6")
@pytest.mark.capability("S1-14")
@pytest.mark.capability("S1-9")
@pytest.mark.capability("S1-11")
def test_image_tinter_keeps_uploads_until_a_worker_comes(tmp_path: Path) -> None:
    with project("image-tinter", tmp_path) as pipeline:
        pipeline.run("upload", PHOTO)
        pipeline.wait_for("upload in the queue", lambda: _waiting(pipeline, "tint"))
        status = pipeline.run("status", "--json").json
        assert status["images"]["done"] == 0
        assert {step["name"]: step["state"] for step in status["steps"]}["tint"] == "worker"
        worker = subprocess.Popen(
            [sys.executable, "-m", "imgpipe", "worker", "--all"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            row = pipeline.wait_for("tinted picture", lambda: _done(pipeline, "picos.jpg"))
        finally:
            worker.terminate()
            worker.wait(60)
        assert set(row["outputs"]) == {"tinted", "small"}


def _done(pipeline: Pipeline, key: str) -> dict[str, Any] | None:
    told = pipeline.run("metadata", "show", key, "--json", code=None)
    row: dict[str, Any] = told.json if told.code == 0 else {}
    return row if row.get("status") == "done" else None


def _waiting(pipeline: Pipeline, queue: str) -> int:
    queues = {it["name"]: it for it in pipeline.run("status", "--json").json["queues"]}
    return int(queues[queue]["visible"])
