"""Results beside the uploads, in a bucket that keeps versions: found as folders, erased with every version."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from imgpipe.operate.audit import outputs, owners
from imgpipe.operate.erase import run
from imgpipe.operate.project import Project
from imgpipe.runtime.results import output_key
from tests.studio import in_moto

KEY = "incoming/holiday/a.jpg"


@pytest.fixture
def project() -> Iterator[Project]:
    with in_moto() as made:
        graph = made.graph
        beside = replace(graph, variants_bucket=graph.uploads_bucket, variants_prefix="processed/")
        yield replace(made, graph=beside)


def stored(project: Project, variant: str, key: str = KEY) -> str:
    """Put two versions of an output into the bucket, and take the second away again."""
    s3, graph = project.cloud.client("s3"), project.graph
    name = output_key(f"processed/{variant}", key, graph.prefix, "0" * 12, "jpg")
    for body in (b"1", b"2"):
        s3.put_object(Bucket=graph.variants_bucket, Key=name, Body=body)
    s3.delete_object(Bucket=graph.variants_bucket, Key=name)
    s3.put_object(Bucket=graph.variants_bucket, Key=name, Body=b"3")
    return name


def ever(project: Project) -> set[str]:
    """Return every key of the bucket that has a version or a delete marker."""
    listed = project.cloud.client("s3").list_object_versions(Bucket=project.graph.uploads_bucket)
    return {it["Key"] for kind in ("Versions", "DeleteMarkers") for it in listed.get(kind, [])}


def test_uploads_are_no_folder_of_results(project: Project) -> None:
    project.cloud.client("s3").put_object(
        Bucket=project.graph.uploads_bucket, Key=KEY, Body=b"upload"
    )
    made = stored(project, "thumb")
    [folder] = outputs.folders(project, {})
    assert folder.name == "thumb"
    assert [key for key, _ in folder.until(None)] == [made]
    assert owners.suspected(project, made) == {KEY, KEY.removesuffix(".jpg")}
    assert owners.suspected(project, KEY) is None


@pytest.mark.capability("X13")
def test_every_version_of_a_result_is_erased_with_its_upload(project: Project) -> None:
    s3, graph = project.cloud.client("s3"), project.graph
    for key in (KEY, "incoming/other.jpg"):
        s3.put_object(Bucket=graph.uploads_bucket, Key=key, Body=b"upload")
    stored(project, "thumb")
    stored(project, "large")
    kept = stored(project, "thumb", "incoming/other.jpg")
    clock = itertools.count(0, 5)
    *_, receipt = run.erase(
        project, KEY, timeout_s=600, now=lambda: float(next(clock)), sleep=lambda _s: None
    )
    assert receipt.complete
    assert ever(project) == {"incoming/other.jpg", kept}
