"""What the console hands out by a key, where results lie beside the uploads and where they have a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from moto import mock_aws

from imgpipe.deploy import graph, spec
from imgpipe.operate.project import Project
from tests.studio import ACCOUNT, HASHES, REGION, Clients, create_table, in_moto
from tests.unit.web.visiting import Console

PHOTO = b"an original, with where it was taken"
MADE = b"a variant"
ONE_BUCKET = """
version: 1
name: tinter
uploads: {{ {bucket}prefix: incoming/, outputs: processed/, deliver: topic }}
steps:
  tint: {{via: worker, variants: {{tinted: {{width: 1200}}, small: {{width: 400}}}}}}
"""


@contextmanager
def beside(folder: Path, bucket: str = "") -> Iterator[Project]:
    """Yield a pipeline whose results lie in the uploads' own bucket."""
    file = folder / "pipeline.yaml"
    file.write_text(ONE_BUCKET.format(bucket=bucket))
    declared = spec.load(file, "local")
    built = graph.build(declared, "local", account=ACCOUNT, region=REGION, code_hashes=HASHES)
    with mock_aws():
        project = Project(folder, declared, built, Clients())  # type: ignore[arg-type]
        s3 = project.cloud.client("s3")
        where = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=built.uploads_bucket, CreateBucketConfiguration=where)
        create_table(project)
        yield project


Made = Callable[[Path], AbstractContextManager[Project]]
PIPELINES: dict[str, tuple[Made, str]] = {
    "one bucket": (beside, "processed/small/a.0123456789ab.jpg"),
    "a bucket that was there": (
        lambda folder: beside(folder, "bucket: photos-of-years, "),
        "processed/small/a.0123456789ab.jpg",
    ),
    "two buckets": (lambda _: in_moto(), "thumb/a.0123456789ab.jpg"),
}
NONE_OF_THEIRS = (
    "incoming/photo.jpg",
    "incoming/small/a.jpg",
    "photo.jpg",
    "small/a.jpg",
    "processed/photo.jpg",
    "processed/other/a.jpg",
    "processed/ops/a.jpg",
    "processed//a.jpg",
    "processed/small/",
    "processedsmall/a.jpg",
    "/processed/small/a.jpg",
    "ops/erasing/a.jpg",
    "other/a.jpg",
    "",
)


@pytest.fixture(params=PIPELINES)
def pipeline(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Project, str]]:
    make, variant = PIPELINES[request.param]
    with make(tmp_path) as project:
        s3 = project.cloud.client("s3")
        for bucket in {project.graph.uploads_bucket, project.graph.variants_bucket}:
            for key in filter(None, NONE_OF_THEIRS):
                s3.put_object(Bucket=bucket, Key=key, Body=PHOTO)
        s3.put_object(Bucket=project.graph.variants_bucket, Key=variant, Body=MADE)
        yield project, variant


@pytest.mark.parametrize("read_only", [True, False])
def test_pictures_are_the_declared_variants_and_nothing_beside_them(
    pipeline: tuple[Project, str], *, read_only: bool
) -> None:
    project, variant = pipeline
    console = Console(project, read_only=read_only)
    shown = console.get("/made", key=variant)
    assert (shown.status, shown.body) == (200, MADE)
    for key in NONE_OF_THEIRS:
        for more in ({}, {"download": "1"}):
            answer = console.get("/made", key=key, **more)
            assert (answer.status, PHOTO in answer.body) == (404, False), key


def test_no_page_of_a_read_only_console_hands_out_an_original(
    pipeline: tuple[Project, str],
) -> None:
    console = Console(pipeline[0], read_only=True)
    for path in ("/image", "/original", "/why", "/tiles", "/made"):
        for key in ("incoming/photo.jpg", "photo.jpg", "../incoming/photo.jpg"):
            assert PHOTO not in console.get(path, key=key).body


def test_an_original_is_an_upload_and_not_what_lies_beside_it(
    pipeline: tuple[Project, str],
) -> None:
    project, variant = pipeline
    console = Console(project)
    assert console.get("/original", key="photo.jpg").body == PHOTO
    for key in (variant, "../ops/erasing/a.jpg", "nothing.jpg"):
        assert console.get("/original", key=key).status == 404


@pytest.mark.parametrize("call", ["part", "list", "complete", "abort"])
def test_leave_to_upload_is_for_uploads_alone(pipeline: tuple[Project, str], call: str) -> None:
    project, variant = pipeline
    console = Console(project)
    asked = {"call": call, "key": variant, "uploadId": "u", "partNumber": 1}
    assert console.post("/uploads/link", asked).status == 400
