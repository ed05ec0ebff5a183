"""An output that a row names is no orphan, whatever its upload is called, and however many are called alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imgpipe.operate import ops
from imgpipe.operate.audit import owners, remedy, walk
from imgpipe.operate.audit.law import Finding
from imgpipe.operate.project import Project
from imgpipe.runtime.results import output_key
from tests.studio import in_moto, put_row, result

NAMES = (
    "f/photo.jfif",
    "f/photo.Jpg",
    "f/photo",
    "f/.hidden",
    "f/two.dots.jpe",
    "f/long.an ending of many letters",
    "/slash.jpg",
    f"long/{'é' * 490}.jpg",
)


@pytest.fixture(params=["", "processed/"], ids=["own bucket", "beside"])
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    with in_moto() as made:
        graph, below = made.graph, request.param
        bucket = graph.uploads_bucket if below else graph.variants_bucket
        yield replace(made, graph=replace(graph, variants_bucket=bucket, variants_prefix=below))


def done(project: Project, name: str, *, gone: bool = False) -> str:
    """Upload an image that is done: its row names its output. With `gone`, no version of it is left."""
    graph, s3 = project.graph, project.cloud.client("s3")
    key = f"{graph.prefix}{name}"
    version = s3.put_object(Bucket=graph.uploads_bucket, Key=key, Body=b"x")["VersionId"]
    if gone:
        s3.delete_object(Bucket=graph.uploads_bucket, Key=key, VersionId=version)
    made = stray(project, key)
    out = {"thumb": {"key": made, "width": 1, "height": 1, "bytes": 1, "format": "jpeg"}}
    put_row(project, result(key, version_id=version, outputs=out))
    return made


def stray(project: Project, key: str, version: str = "0123456789ab") -> str:
    graph = project.graph
    made = output_key(f"{graph.variants_prefix}thumb", key, graph.prefix, version, "jpg")
    project.cloud.client("s3").put_object(Bucket=graph.variants_bucket, Key=made, Body=b"x")
    return made


def crowd(project: Project, begin: str, count: int) -> None:
    s3, graph = project.cloud.client("s3"), project.graph
    for number in range(count):
        key = f"{graph.prefix}{begin}{number:04}.jpg"
        s3.put_object(Bucket=graph.uploads_bucket, Key=key, Body=b"x")


def found(project: Project, kind: str = "orphan") -> list[Finding]:
    tally = walk.begin(project, "", resume=False)
    return [it for it in walk.walk(project, tally, timedelta(0)) if it.kind == kind]


@pytest.mark.parametrize("gone", [False, True])
def test_what_a_row_names_is_no_orphan_whatever_its_upload_is_called(
    project: Project, gone: bool
) -> None:
    for name in NAMES:
        done(project, name, gone=gone)
    assert [it.key for it in found(project)] == []


def test_what_a_row_names_is_no_orphan_however_many_are_called_alike(project: Project) -> None:
    crowd(project, "a.g", 1010)
    done(project, "a.jfif")
    assert [it.key for it in found(project)] == []


def test_an_orphan_is_told_with_the_uploads_that_it_may_be_of(project: Project) -> None:
    done(project, "f/photo.jfif")
    done(project, "f/photo.png", gone=True)
    done(project, "f/photo.b.png")
    left = stray(project, "incoming/f/photo.jfif", "f" * 12)
    [orphan] = found(project)
    assert orphan.outputs == (left,)
    assert orphan.owners == tuple(
        f"incoming/f/{name}" for name in ("photo", "photo.jfif", "photo.png")
    )
    [call] = remedy.remedy(project.graph, orphan).calls
    order = json.loads(call.body)
    assert (order["keys"], order["uploads"]) == ([left], list(orphan.owners))


def test_what_lies_beside_the_uploads_is_met_where_it_is_and_not_asked_about_one_by_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def listed(_: Project, output: str) -> None:
        asked.append(output)

    monkeypatch.setattr(owners, "suspected", listed)
    monkeypatch.setattr(walk.outputs, "is_there", lambda _, key: asked.append(key) or True)
    for number in range(40):
        done(project, f"{number:03}.jpg")
    assert found(project) == []
    assert asked == []


def test_many_orphans_are_judged_in_lots(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "SUSPECTS", 3)
    left = {stray(project, f"incoming/{number}.jpg") for number in range(8)}
    done(project, "kept.jfif")
    assert {it.key for it in found(project)} == left


def test_suspects_outlive_an_interrupted_audit(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "BATCH", 2)
    left = stray(project, "incoming/0.jpg")
    crowd(project, "1", 8)
    tally = walk.begin(project, "", resume=False)
    running = walk.walk(project, tally, timedelta(0))
    while (next(running)).key < "incoming/10004":
        pass
    running.close()  # type: ignore[attr-defined]
    noted: dict[str, Any] = ops.read(project, walk.note_name("incoming/")) or {}
    assert list(noted["suspects"]) == [left]
    again = walk.begin(project, "", resume=True)
    rest = list(walk.walk(project, again, timedelta(0)))
    assert [it.key for it in rest if it.kind == "orphan"] == [left]


def test_what_an_attempt_stored_of_the_current_version_is_no_orphan(project: Project) -> None:
    """The upload is in flight or failed: an attempt to come stores the same again, and its result names it."""
    graph, s3, key = project.graph, project.cloud.client("s3"), "incoming/f/photo.jfif"
    old, new = (
        s3.put_object(Bucket=graph.uploads_bucket, Key=key, Body=b"x")["VersionId"] for _ in "12"
    )
    kept, left = (
        next(it for it in owners.called(graph, key, version, "") if "thumb/" in it)
        for version in (new, old)
    )
    for name in (kept, left):
        s3.put_object(Bucket=graph.variants_bucket, Key=f"{name}.jpg", Body=b"x")
    tally = walk.begin(project, "", resume=False)
    running = walk.walk(project, tally, timedelta(days=-1))
    assert [it.key for it in running if it.kind == "orphan"] == [f"{left}.jpg"]
    assert owners.suspected(project, f"{kept}.jpg") is None
    put_row(project, result(key, version_id=new))
    assert owners.suspected(project, f"{kept}.jpg") == {"incoming/f/photo", key}
