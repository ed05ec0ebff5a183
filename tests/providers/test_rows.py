"""Rows by key and by status, metadata of one image, downloads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imgpipe.errors import MissingError, UsageError
from imgpipe.operate import download, metadata, rows
from imgpipe.operate.project import Project
from tests.studio import in_moto, put_row, result


@pytest.fixture
def project() -> Iterator[Project]:
    with in_moto() as made:
        yield made


def at(minute: int) -> str:
    return f"2026-11-21T07:{minute:02}:00.000Z"


def keys(found: Iterator[dict[str, Any]]) -> list[str]:
    return [row["key"] for row in found]


def test_more_keys_than_one_call_takes_are_all_read(project: Project) -> None:
    names = [f"incoming/{number:03}.jpg" for number in range(230)]
    for name in names:
        put_row(project, result(name))
    found = rows.by_keys(project, [*names, "incoming/not-there.jpg"])
    assert sorted(found) == names
    assert found[names[0]]["status"] == "done"


def test_rows_come_latest_first_over_all_shards_and_statuses(project: Project) -> None:
    for minute in range(12):
        status = "done" if minute % 3 else "failed"
        put_row(project, result(f"incoming/{minute:02}.jpg", uploaded_at=at(minute), status=status))
    expected = [f"incoming/{minute:02}.jpg" for minute in reversed(range(12))]

    assert keys(rows.by_status(project, ("done", "failed"))) == expected
    assert keys(rows.by_status(project, ("failed",))) == expected[2::3]
    assert keys(rows.by_status(project, ("done", "failed"), limit=3)) == expected[:3]
    assert keys(rows.by_status(project, ("done", "failed"), prefix="incoming/1")) == expected[:2]


def test_rows_are_filtered_by_date(project: Project) -> None:
    for minute in range(5):
        put_row(project, result(f"incoming/{minute}.jpg", uploaded_at=at(minute)))
    since, until = (
        datetime(2026, 11, 21, 7, 1, tzinfo=UTC),
        datetime(2026, 11, 21, 7, 3, tzinfo=UTC),
    )
    found = rows.by_status(project, ("done",), since=since, until=until)
    assert keys(found) == ["incoming/3.jpg", "incoming/2.jpg", "incoming/1.jpg"]


def test_rows_are_chosen_by_tag_and_camera(project: Project) -> None:
    dark = {"tags": [{"name": "dark", "origin": "basic"}, {"name": "Dog", "origin": "rekognition"}]}
    phone = {"exif": {"make": "Apple", "camera": "iPhone 5"}}
    for number, facts in enumerate([dark, phone, {**dark, **phone}, {}]):
        put_row(project, result(f"incoming/{number}.jpg", uploaded_at=at(number), facts=facts))
    for tags, camera, expected in [
        ((), "", "3210"),
        (("dark",), "", "20"),
        (("DARK", "dog"), "", "20"),
        (("dark", "cat"), "", ""),
        ((), "iphone", "21"),
        (("dark",), "apple", "2"),
    ]:
        found = rows.by_status(project, ("done",), where=metadata.shows(tags, camera))
        assert "".join(key[9] for key in keys(found)) == expected
    limited = rows.by_status(project, ("done",), where=metadata.shows(("dark",), ""), limit=1)
    assert keys(limited) == ["incoming/2.jpg"]


def test_of_many_rows_only_the_facts_that_are_asked_for_are_read(project: Project) -> None:
    facts = {"palette": ["#2255cc"], "exif": {"make": "Leica"}, "width": 800}
    for minute in range(6):
        status = "done" if minute % 2 else "failed"
        told = result(f"incoming/{minute}.jpg", uploaded_at=at(minute), status=status, facts=facts)
        put_row(project, told)
    whole = list(rows.by_status(project, ("done", "failed")))
    step = next(iter(whole[0]["steps"]))
    asked = {"limit": 5, "steps": {step, "not-there"}, "facts": ("palette", "exif")}
    found = list(rows.facts_by_status(project, ("done", "failed"), **asked))
    assert keys(iter(found)) == keys(iter(whole[:5]))
    assert [row["status"] for row in found] == [row["status"] for row in whole[:5]]
    assert found[0]["facts"] == {"palette": ["#2255cc"], "exif": {"make": "Leica"}}
    assert found[0]["updated_at"] == whole[0]["updated_at"]


def test_counting_says_when_it_stopped_early(project: Project) -> None:
    for number in range(7):
        put_row(project, result(f"incoming/{number}.jpg"))
    assert rows.count(project, "done", 20) == (7, True)
    assert rows.count(project, "failed", 20) == (0, True)
    assert rows.count(project, "done", 0) == (0, False)


def test_keys_that_a_throttled_table_left_out_are_asked_for_again(project: Project) -> None:
    put_row(project, result("incoming/a.jpg"))
    put_row(project, result("incoming/b.jpg"))

    class Reluctant:
        """Answers for one key a call."""

        def __init__(self, dynamodb: Any) -> None:
            self._dynamodb = dynamodb

        def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - boto3's name
            [(table, wanted)] = RequestItems.items()
            first, rest = wanted["Keys"][:1], wanted["Keys"][1:]
            answer = self._dynamodb.batch_get_item(RequestItems={table: {**wanted, "Keys": first}})
            return {**answer, "UnprocessedKeys": {table: {**wanted, "Keys": rest}} if rest else {}}

    project.cloud.made["dynamodb"] = Reluctant(project.cloud.client("dynamodb"))  # type: ignore[attr-defined]
    assert set(rows.by_keys(project, {"incoming/a.jpg", "incoming/b.jpg"})) == {
        "incoming/a.jpg",
        "incoming/b.jpg",
    }


def test_an_image_is_found_with_and_without_the_prefix(project: Project) -> None:
    put_row(project, result("incoming/a b+c%20d \U0001f4f8\n.jpg"))
    with_prefix = metadata.show(project, "incoming/a b+c%20d \U0001f4f8\n.jpg")
    assert metadata.show(project, "a b+c%20d \U0001f4f8\n.jpg") == with_prefix
    with pytest.raises(MissingError, match="no such upload"):
        metadata.show(project, "nope.jpg")


def test_an_upload_that_no_step_has_told_of_is_in_flight(project: Project) -> None:
    s3 = project.cloud.client("s3")
    version = s3.put_object(Bucket=project.graph.uploads_bucket, Key="incoming/new.jpg", Body=b"x")[
        "VersionId"
    ]
    row = metadata.show(project, "new.jpg")
    assert (row["status"], row["version_id"], row["size"]) == ("in_flight", version, 1)


def test_a_dead_letter_without_a_failed_row_counts_as_failed(project: Project) -> None:
    import json

    from tests.studio import s3_event, sns_envelope

    expected = ["thumbnail", "enhance"]
    put_row(project, result("incoming/a.jpg", expected=expected))
    dlq = project.graph.place.queue_url(project.graph.queues["enhance-dlq"])
    sqs = project.cloud.client("sqs")
    sqs.send_message(
        QueueUrl=dlq,
        MessageBody=json.dumps(sns_envelope(s3_event("incoming/a.jpg", "an older version"))),
    )
    create_logs(project)
    assert metadata.show(project, "a.jpg")["status"] == "in_flight"

    sqs.send_message(
        QueueUrl=dlq, MessageBody=json.dumps(sns_envelope(s3_event("incoming/a.jpg", "v1")))
    )
    row = metadata.show(project, "a.jpg")
    assert row["status"] == "failed"
    assert row["steps"]["enhance"]["error"]["class"] == "RuntimeError"
    assert row["reason"] == "RuntimeError: broken on purpose"
    assert row["steps"]["thumbnail"]["status"] == "done"


def create_logs(project: Project) -> None:
    import time

    logs = project.cloud.client("logs")
    group = next(branch.log_group for branch in project.graph.branches if branch.name == "enhance")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    text = "[ERROR] RuntimeError: broken on purpose\rTraceback (most recent call last):\r  File"
    event = {"timestamp": int(time.time() * 1000) + 1000, "message": text}
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])


def put_objects(project: Project) -> None:
    s3, graph = project.cloud.client("s3"), project.graph
    s3.put_object(Bucket=graph.uploads_bucket, Key="incoming/trip/a.png", Body=b"original" * 1000)
    made = {"key": "thumb/trip/a.0123.jpg", "width": 1, "height": 1, "bytes": 5, "format": "jpeg"}
    s3.put_object(Bucket=graph.variants_bucket, Key=made["key"], Body=b"thumb")
    put_row(project, result("incoming/trip/a.png", outputs={"thumb": made}))


def test_an_original_and_a_variant_are_downloaded_whole(project: Project, tmp_path: Path) -> None:
    put_objects(project)
    heard: list[tuple[int, int]] = []
    for variant, name, content in (
        (None, "a.png", b"original" * 1000),
        ("thumb", "a.thumb.jpg", b"thumb"),
    ):
        found = download.find(project, "trip/a.png", variant)
        target = download.place(found, tmp_path)
        size = download.fetch(
            project, found, target, lambda so_far, whole: heard.append((so_far, whole))
        )
        assert (target.name, target.read_bytes(), size) == (name, content, len(content))
    assert heard == [(8000, 8000), (5, 5)]
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.thumb.jpg"}


def test_a_download_never_overwrites_what_nobody_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(project)
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"mine")
    found = download.find(project, "trip/a.png", None)
    with pytest.raises(UsageError, match="such a file already"):
        download.place(found, None)
    assert download.place(found, Path("a.png")) == Path("a.png")


def test_a_variant_that_pipeline_yaml_lacks_is_bad_usage_and_one_not_made_is_missing(
    project: Project,
) -> None:
    put_objects(project)
    with pytest.raises(UsageError, match="its variants: thumb"):
        download.find(project, "trip/a.png", "huge")
    with pytest.raises(MissingError, match="its variants: thumb"):
        download.find(project, "trip/a.png", "enhanced")
    with pytest.raises(MissingError):
        download.find(project, "nope.png", None)


def test_a_download_that_breaks_off_leaves_nothing(project: Project, tmp_path: Path) -> None:
    put_objects(project)
    found = download.find(project, "trip/a.png", None)

    def interrupt(so_far: int, whole: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch(project, found, tmp_path / "a.png", interrupt)
    assert list(tmp_path.iterdir()) == []
