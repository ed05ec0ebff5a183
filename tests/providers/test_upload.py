"""Files reach S3 byte for byte; a large one that was interrupted is finished by the next run."""

from __future__ import annotations

import hashlib
import os
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from imgpipe.errors import MissingError, UsageError
from imgpipe.operate import parallel
from imgpipe.operate.upload import asked, multipart, sources, stale
from imgpipe.operate.upload.run import run
from imgpipe.operate.upload.send import MULTIPART_BYTES, Sent
from imgpipe.operate.upload.sources import NotSent
from tests.studio import create_buckets, studio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imgpipe.operate.project import Project


@pytest.fixture
def project() -> Iterator[Project]:
    with mock_aws():
        made = studio()
        create_buckets(made)
        yield made


def upload(project: Project, *paths: Path) -> list[Sent | NotSent]:
    return list(
        run(project, sources.find([str(path) for path in paths], "incoming/"), lambda _: None)
    )


def stored(project: Project, key: str, **version: str) -> bytes:
    answer = project.cloud.client("s3").get_object(
        Bucket=project.graph.uploads_bucket, Key=key, **version
    )
    body: bytes = answer["Body"].read()
    return body


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.tif"
    path.write_bytes(os.urandom(MULTIPART_BYTES + 5_000_000))
    return path


class CutOffError(Exception):
    """The line went dead."""


class CutAfter:
    """An S3 client that goes dead after so many parts."""

    def __init__(self, s3: Any, parts: int) -> None:
        self._s3, self._permits = s3, Semaphore(parts)

    def upload_part(self, **request: Any) -> Any:
        if not self._permits.acquire(blocking=False):
            raise CutOffError
        return self._s3.upload_part(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)


class Counting:
    """An S3 client that counts its calls."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._s3, name)


def interrupt(project: Project, path: Path, after_parts: int) -> int:
    """Cut an upload off after so many parts; return the bytes that S3 has."""
    whole = project.cloud.client("s3")
    project.cloud.made["s3"] = CutAfter(whole, after_parts)  # type: ignore[attr-defined]
    with pytest.raises(CutOffError):
        upload(project, path)
    project.cloud.made["s3"] = whole  # type: ignore[attr-defined]
    bucket, key = project.graph.uploads_bucket, f"incoming/{path.name}"
    [unfinished] = multipart.unfinished_uploads(whole, bucket, key)
    parts = list(multipart.list_parts(whole, bucket, key, unfinished["UploadId"]))
    assert len(parts) == after_parts
    return sum(part["Size"] for part in parts)


def test_a_file_is_stored_byte_for_byte_with_its_type_and_version(
    project: Project, tmp_path: Path
) -> None:
    path = tmp_path / "a b+c%20d \U0001f4f8\n.webp"
    path.write_bytes(b"RIFF" * 100)
    [sent] = upload(project, path)

    assert isinstance(sent, Sent)
    assert stored(project, sent.key) == path.read_bytes()
    head = project.cloud.client("s3").head_object(Bucket=project.graph.uploads_bucket, Key=sent.key)
    assert (head["VersionId"], head["ContentType"]) == (sent.version_id, "image/webp")


def test_the_same_file_again_is_a_new_version(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    [first], [second] = upload(project, path), upload(project, path)
    assert isinstance(first, Sent)
    assert isinstance(second, Sent)
    assert first.version_id != second.version_id


def test_a_large_file_is_sent_in_parts_and_verified_as_a_whole(
    project: Project, large: Path
) -> None:
    heard: list[int] = []
    [sent] = run(project, sources.find([str(large)], "incoming/"), heard.append)

    assert isinstance(sent, Sent)
    assert sent.etag.endswith("-3")
    assert sum(heard) == sent.size == large.stat().st_size
    assert (
        hashlib.sha256(stored(project, sent.key)).digest()
        == hashlib.sha256(large.read_bytes()).digest()
    )


@pytest.mark.parametrize("parts", [0, 1, 2])
@pytest.mark.capability("S2-8")
@pytest.mark.fault("F-18")
def test_an_interrupted_upload_is_finished_by_the_next_run(
    project: Project, large: Path, parts: int
) -> None:
    there = interrupt(project, large, parts)
    counting = Counting(project.cloud.client("s3"))
    project.cloud.made["s3"] = counting  # type: ignore[attr-defined]
    [sent] = upload(project, large)

    assert isinstance(sent, Sent)
    assert sent.resumed == there
    assert counting.calls.count("upload_part") == 3 - parts
    assert stored(project, sent.key) == large.read_bytes()


@pytest.mark.capability("S2-8")
def test_a_person_who_interrupts_need_not_wait_for_the_end_of_a_large_file(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.tif"
    path.write_bytes(os.urandom(6 * MULTIPART_BYTES))
    begun = Event()

    def interrupted(*_: Any, **__: Any) -> Any:
        begun.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "wait", interrupted)
    found = sources.find([str(path)], "incoming/")
    with pytest.raises(KeyboardInterrupt):
        list(run(project, found, lambda _: begun.set()))
    monkeypatch.undo()
    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    [unfinished] = multipart.unfinished_uploads(s3, bucket, f"incoming/{path.name}")
    parts = list(multipart.list_parts(s3, bucket, f"incoming/{path.name}", unfinished["UploadId"]))
    assert 0 < len(parts) < path.stat().st_size // parts[0]["Size"]
    [sent] = upload(project, path)
    assert isinstance(sent, Sent)
    assert sent.resumed == sum(part["Size"] for part in parts)


def test_parts_of_other_bytes_are_sent_again(project: Project, large: Path) -> None:
    interrupt(project, large, 2)
    large.write_bytes(os.urandom(large.stat().st_size))
    [sent] = upload(project, large)

    assert isinstance(sent, Sent)
    assert sent.resumed == 0
    assert stored(project, sent.key) == large.read_bytes()


def test_a_file_that_changes_while_it_is_read_is_told_and_leaves_nothing(
    project: Project, large: Path
) -> None:
    grow = large.open("ab")

    def write(_: int) -> None:
        grow.write(b"more")
        grow.flush()

    [item] = run(project, sources.find([str(large)], "incoming/"), write)
    grow.close()

    assert isinstance(item, NotSent)
    assert item.reason == "changed"
    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert list(multipart.unfinished_uploads(s3, bucket, "")) == []


def no_such_upload() -> ClientError:
    error = {"Error": {"Code": "NoSuchUpload", "Message": "gone"}}
    return ClientError(error, "CompleteMultipartUpload")  # type: ignore[arg-type]


def test_a_lost_answer_to_the_last_call_is_no_failure(project: Project, large: Path) -> None:
    """The SDK's retry then finds no such upload any more, and the object there."""

    class LostAnswer(Counting):
        def complete_multipart_upload(self, **request: Any) -> Any:
            self._s3.complete_multipart_upload(**request)
            raise no_such_upload()

    lossy = LostAnswer(project.cloud.client("s3"))
    project.cloud.made["s3"] = lossy  # type: ignore[attr-defined]
    [sent] = upload(project, large)
    assert isinstance(sent, Sent)
    assert stored(project, sent.key, VersionId=str(sent.version_id)) == large.read_bytes()
    assert lossy.calls.count("create_multipart_upload") == 1


def test_an_upload_that_somebody_aborted_meanwhile_is_started_anew(
    project: Project, large: Path
) -> None:
    class AbortedOnce(Counting):
        aborted = False

        def complete_multipart_upload(self, **request: Any) -> Any:
            if self.aborted:
                return self._s3.complete_multipart_upload(**request)
            self.aborted = True
            target = {name: request[name] for name in ("Bucket", "Key", "UploadId")}
            self._s3.abort_multipart_upload(**target)
            raise no_such_upload()

    project.cloud.made["s3"] = AbortedOnce(project.cloud.client("s3"))  # type: ignore[attr-defined]
    [sent] = upload(project, large)
    assert isinstance(sent, Sent)
    assert stored(project, sent.key) == large.read_bytes()


def test_unfinished_uploads_are_listed_over_pages_with_their_keys_as_they_are() -> None:
    class Pages:
        """S3 with one upload a page, its keys encoded as asked for."""

        def list_multipart_uploads(self, *, KeyMarker: str = "", **_: Any) -> Any:  # noqa: N803
            if not KeyMarker:
                more = {"IsTruncated": True, "NextKeyMarker": "a+b%2B", "NextUploadIdMarker": "1"}
                return {
                    "EncodingType": "url",
                    "Uploads": [{"Key": "a+b%2B", "UploadId": "1"}],
                    **more,
                }
            assert KeyMarker == "a b+"
            return {"EncodingType": "url", "Uploads": [{"Key": "c%0Ad", "UploadId": "2"}]}

    found = multipart.unfinished_uploads(Pages(), "bucket", "")
    assert [upload["Key"] for upload in found] == ["a b+", "c\nd"]


@pytest.mark.capability("S2-8")
def test_stale_uploads_are_aborted_and_those_under_way_are_not(
    project: Project, large: Path
) -> None:
    from datetime import UTC, datetime

    there = interrupt(project, large, 2)
    now = datetime.now(UTC)
    assert list(stale.abort(project, "incoming/", 3600, now)) == []
    assert list(stale.abort(project, "elsewhere/", 0, now)) == []

    [aborted] = stale.abort(project, "incoming/", -1, now)
    assert (aborted.key, aborted.size) == ("incoming/large.tif", there)
    assert list(stale.abort(project, "", -1, now)) == []


def test_a_missing_bucket_ends_the_run_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    with mock_aws(), pytest.raises(MissingError, match="NoSuchBucket"):
        upload(studio(), tmp_path / "a.jpg")


def test_one_file_that_fails_does_not_keep_the_others(project: Project, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b.jpg").write_bytes(b"")
    found = {item.key: type(item) for item in upload(project, tmp_path)}
    folder = f"incoming/{tmp_path.name}"
    assert found == {f"{folder}/a.jpg": Sent, f"{folder}/b.jpg": NotSent, f"{folder}/c.jpg": Sent}


def test_the_parts_of_any_size_are_whole_and_few_enough() -> None:
    for size in (MULTIPART_BYTES, 100 * 10**6 + 1, 83_886_080_000, 83_886_080_001, 5 * 10**12):
        parts = list(multipart.parts_of(size))
        assert sum(part.length for part in parts) == size
        assert len(parts) <= multipart.MAX_PARTS
        assert all(part.length >= 5 * 2**20 for part in parts[:-1])
        assert [part.offset for part in parts[1:]] == [
            part.offset + part.length for part in parts[:-1]
        ]


@pytest.mark.capability("S0-14")
def test_the_uploaders_address_goes_with_a_file_of_any_size(
    project: Project, tmp_path: Path, large: Path
) -> None:
    small = tmp_path / "a.jpg"
    small.write_bytes(b"x")
    interrupt(
        project, large, after_parts=1
    )  # without the address: this upload can't be gone on with
    found = asked.tell(sources.find([str(small), str(large)], "incoming/"), "ann@photos.example")
    sent = list(run(project, sources.meant(found), lambda _: None))
    for each in sent:
        assert isinstance(each, Sent)
        head = project.cloud.client("s3").head_object(
            Bucket=project.graph.uploads_bucket, Key=each.key
        )
        assert head["Metadata"] == {"notify": "ann@photos.example"}


def test_a_pipeline_without_an_api_says_how_to_have_one(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    found = sources.meant(sources.find([str(path)], "incoming/"))
    with pytest.raises(UsageError) as caught:
        list(run(project, found, lambda _: None, via_api=True))
    assert "direct: {}" in caught.value.hint
