"""The main job on real photographs: up, upload, status, metadata, download, dlq, down."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO, photographs

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("studio")]

VARIANTS = {"thumb", "enhanced", "medium", "large"}


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.mark.capability("S0-5")
@pytest.mark.capability("S0-6")
@pytest.mark.capability("S3-2")
@pytest.mark.capability("S4-2")
def test_a_photograph_becomes_its_variants_and_a_row(studio: Pipeline, tmp_path: Path) -> None:
    [image] = studio.run("upload", DEMO / "picos.jpg", "--wait", "--json").json

    assert (image["key"], image["status"], image["reason"]) == ("incoming/picos.jpg", "done", None)
    assert set(image["outputs"]) == VARIANTS
    out = tmp_path / "thumb.jpg"
    studio.run("download", "picos.jpg", "--variant", "thumb", "--out", out)
    assert size_of(out) == (200, 200)


@pytest.mark.capability("S4-3")
def test_a_picture_that_lies_on_its_side_is_turned_upright_and_loses_its_position(
    studio: Pipeline, tmp_path: Path
) -> None:
    studio.run("upload", DEMO / "picos.jpg", "--prefix", "side", "--wait")
    row = studio.run("metadata", "show", "side/picos.jpg", "--json").json
    out = tmp_path / "large.jpg"
    studio.run("download", "side/picos.jpg", "--variant", "large", "--out", out)

    assert size_of(out) == (1600, 1200)
    assert (row["facts"]["width"], row["facts"]["height"]) == (3264, 2448)
    assert "gps" not in str(row).lower()
    with Image.open(out) as large:
        assert not large.getexif()


@pytest.mark.capability("S0-1")
def test_every_real_photograph_is_done(studio: Pipeline) -> None:
    photos = photographs()[:8]
    images = studio.run("upload", *photos, "--prefix", "real", "--wait", "--json").json

    assert {image["key"]: image["status"] for image in images} == {
        f"incoming/real/{photo.name}": "done" for photo in photos
    }


def test_status_counts_the_images_and_is_healthy(studio: Pipeline) -> None:
    studio.run("upload", DEMO / "rocket.jpg", "--prefix", "status", "--wait")
    status = studio.run("status", "--json").json

    assert status["images"]["done"] >= 1
    assert {"queues", "steps", "alarms", "images", "healthy"} <= set(status)


def test_a_second_up_changes_nothing(studio: Pipeline) -> None:
    assert studio.run("plan", "--check").code == 0
    again = studio.run("up", "--yes")
    assert "nothing to change" in (again.out + again.err).lower()


@pytest.mark.parametrize("name", ["a b+c%20d.jpg", "emoji-\U0001f4f8.jpg", "two\nlines.jpg"])
def test_hostile_names_go_all_the_way(studio: Pipeline, tmp_path: Path, name: str) -> None:
    photo = tmp_path / name
    Image.new("RGB", (320, 240), "teal").save(photo, "JPEG")
    [image] = studio.run("upload", photo, "--prefix", "hostile", "--wait", "--json").json

    assert (image["key"], image["status"]) == (f"incoming/hostile/{name}", "done")
    assert studio.run("metadata", "show", f"hostile/{name}", "--json").json["key"] == image["key"]


def test_a_text_with_the_name_of_a_picture_is_rejected_with_a_reason(
    studio: Pipeline, tmp_path: Path
) -> None:
    text = tmp_path / "not-a-picture.jpg"
    text.write_text("Dear studio, please find enclosed")
    [image] = studio.run("upload", text, "--wait", "--json", code=1).json

    assert (image["status"], image["reason"]) == ("rejected", "unsupported_format")
    letters = [it for it in studio.run("dlq", "list", "--json").json if it["key"] == image["key"]]
    assert {it["reason"] for it in letters} == {"unsupported_format"}


def test_an_empty_file_is_told_and_never_silently_skipped(studio: Pipeline, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    result = studio.run("upload", empty, "--wait", code=1)

    assert "empty" in result.out + result.err


@pytest.mark.capability("S2-13")
def test_variants_and_row_go_with_their_original(studio: Pipeline, tmp_path: Path) -> None:
    import boto3

    [image] = studio.run(
        "upload", DEMO / "chelsea.png", "--prefix", "gone", "--wait", "--json"
    ).json
    variables = dict(
        line.removeprefix("export ").split("=", 1)
        for line in studio.run("local", "env").out.splitlines()
        if "=" in line
    )
    session = boto3.Session(
        variables["AWS_ACCESS_KEY_ID"].strip("'\""),
        variables["AWS_SECRET_ACCESS_KEY"].strip("'\""),
        region_name=variables["AWS_DEFAULT_REGION"].strip("'\""),
    )
    s3 = session.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"].strip("'\""))
    names = studio.run("outputs", "--json").json
    s3.delete_object(Bucket=names["uploads_bucket"], Key=image["key"])

    studio.wait_for("tombstone", lambda: _status(studio, image["key"]) == "removed")
    studio.wait_for(
        "empty listing",
        lambda: (
            not [
                found
                for found in s3.list_objects_v2(Bucket=names["variants_bucket"]).get("Contents", [])
                if "gone/chelsea" in found["Key"]
            ]
        ),
    )


def _status(studio: Pipeline, key: str) -> str:
    return str(studio.run("metadata", "show", key, "--json").json["status"])


@pytest.mark.capability("S3-2")
def test_process_makes_the_same_variants_without_a_cloud(tmp_path: Path) -> None:
    pipeline = Pipeline.copy_to(tmp_path)
    [image] = pipeline.run("process", DEMO / "rocket.jpg", "--out", tmp_path / "out", "--json").json

    made = sorted((tmp_path / "out").rglob("*.jpg"))
    assert image["status"] == "done"
    assert len(made) == len(VARIANTS)
    for path in made:
        assert max(size_of(path)) <= 1600
