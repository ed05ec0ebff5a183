"""Each template, begun as a person begins it: init, up, a real photograph, its outputs, down."""

from __future__ import annotations

import json
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
    with up(Pipeline.from_template(name, folder)) as pipeline:
        yield pipeline


@contextmanager
def up(pipeline: Pipeline) -> Iterator[Pipeline]:
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


DEVICE = "arn:aws:sns:us-east-1:000000000000:endpoint/GCM/studio/1234"


@pytest.mark.capability("S0-14", "S1-7", "S2-14", "S2-15")
def test_notify(tmp_path: Path) -> None:
    pipeline = Pipeline.from_template("notify", tmp_path)
    declared = (tmp_path / "pipeline.yaml").read_text()
    phone = 'sms: ["+447700900000"]'
    assert phone in declared
    with_device = declared.replace(phone, f'{phone}, push: ["{DEVICE}"]')
    with_device = with_device.replace("notify:  ", "notify:\n  uploaders: [ann@studio.photo]  ")
    (tmp_path / "pipeline.yaml").write_text(with_device)
    with up(pipeline):
        waiting = pipeline.run("status", "--json").json["unconfirmed"]
        asked = {"studio@example.com", "ops@example.com", "ann@studio.photo"}
        assert {it["address"] for it in waiting} == asked
        pipeline.run("local", "mail", "confirm", "--all")
        assert not pipeline.run("status", "--json").json["unconfirmed"]
        upload(pipeline, PHOTO)
        told = pipeline.wait_for("two mails, a text and a push", lambda: _told(pipeline, 4))
        assert {it["subject"] for it in told["notice"]} == {
            "Received: picos.jpg",
            "Ready: picos.jpg",
        }
        [ready] = [it for it in told["notice"] if it["subject"] == "Ready: picos.jpg"]
        text = pipeline.run("local", "mail", "show", str(ready["number"])).out
        [link] = [line for line in text.splitlines() if "X-Amz-Signature" in line]
        assert fetch(link)[1].startswith(b"\xff\xd8")  # a JPEG, to whoever has the link
        assert fetch(link.partition("?")[0])[0] == 403
        [sms], [push] = told["sms"], told["push"]
        assert sms["to"] == "+447700900000"
        assert sms["subject"].startswith("Ready: picos.jpg (")
        assert "GCM/studio/1234" in push["to"]
        shown = pipeline.run("local", "mail", "show", str(push["number"]), "--json").json["text"]
        assert json.loads(shown)["notification"]["title"] == "Ready: picos.jpg"
        _hears_of_her_own(pipeline)


def _hears_of_her_own(pipeline: Pipeline) -> None:
    """Ann, who named herself with an upload, hears of that one; of others she heard nothing."""
    own = pipeline.folder / "own.jpg"
    own.write_bytes(PHOTO.read_bytes())
    pipeline.run("upload", own, "--wait", "--notify", "ann@studio.photo")
    pipeline.wait_for("her mail", lambda: "Ready: own.jpg" in _to(pipeline, "ann@studio.photo"))
    assert all("own.jpg" in subject for subject in _to(pipeline, "ann@studio.photo"))


def _to(pipeline: Pipeline, address: str) -> list[str]:
    """Return the subjects of the notices to an address."""
    mails = pipeline.run("local", "mail", "--json").json
    return [it["subject"] for it in mails if it["to"] == address and it["kind"] == "notice"]


def _told(pipeline: Pipeline, count: int) -> dict[str, list[dict[str, Any]]]:
    """Return what people were told of the photograph, by kind, once it is that much."""
    mails = pipeline.run("local", "mail", "--json").json
    about = [mail for mail in mails if "picos" in mail["subject"]]
    kinds = {mail["kind"] for mail in about}
    found = {kind: [mail for mail in about if mail["kind"] == kind] for kind in kinds}
    return found if len(about) >= count else {}


@pytest.mark.capability("S1-5", "S1-6", "S1-8", "S1-9", "S1-11", "S1-14")
def test_image_tinter_keeps_uploads_until_a_worker_comes(tmp_path: Path) -> None:
    with project("image-tinter", tmp_path) as pipeline:
        [rule] = pipeline.run("events", "--bucket", "--json").json["rules"]
        assert (rule["events"], rule["prefix"]) == (["s3:ObjectCreated:*"], "incoming/")
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
            _stays_at_one_image(pipeline, row)
        finally:
            worker.terminate()
            worker.wait(60)


def _stays_at_one_image(pipeline: Pipeline, row: dict[str, Any]) -> None:
    """The results lie in the uploads' bucket, and no worker ever hears of them; of the next upload one does."""
    outputs = pipeline.run("outputs", "--json").json
    assert outputs["variants_bucket"] == outputs["uploads_bucket"]
    made = {name: output["key"] for name, output in row["outputs"].items()}
    assert made.keys() == {"tinted", "small"}
    assert all(key.startswith("processed/") for key in made.values())
    second = pipeline.folder / "second.jpg"
    second.write_bytes(PHOTO.read_bytes())
    pipeline.run("upload", second)
    pipeline.wait_for("the second picture", lambda: _done(pipeline, "second.jpg"))
    listed = pipeline.run("metadata", "list", "--json").json
    assert {it["key"] for it in listed} == {"incoming/picos.jpg", "incoming/second.jpg"}
    bucket = pipeline.client("s3").list_objects_v2(Bucket=outputs["uploads_bucket"])
    keys = [it["Key"] for it in bucket["Contents"]]
    assert len([key for key in keys if key.startswith("processed/")]) == 4
    assert len(keys) == 6
    assert {row["steps"]["tint"]["attempts"] for row in listed} == {1}


def _done(pipeline: Pipeline, key: str) -> dict[str, Any] | None:
    told = pipeline.run("metadata", "show", key, "--json", code=None)
    row: dict[str, Any] = told.json if told.code == 0 else {}
    return row if row.get("status") == "done" else None


def _waiting(pipeline: Pipeline, queue: str) -> int:
    queues = {it["name"]: it for it in pipeline.run("status", "--json").json["queues"]}
    return int(queues[queue]["visible"])
