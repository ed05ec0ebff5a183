"""A disk that is truly full, a tiny one of its own: every command's words, and that all goes on when there is room."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from imgpipe import cloud as seam
from imgpipe.errors import FullDiskError, ImgpipeError
from imgpipe.local import lifecycle
from tests.e2e.pipeline import Pipeline

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A project on a file system of 20 MB."""
    yield from mounted(tmp_path, "20m")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """One of 256 MB, which has room for functions."""
    yield from mounted(tmp_path, "256m")


def mounted(beside: Path, size: str) -> Iterator[Path]:
    """Mounting takes root: others skip."""
    folder = beside / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False)
    if not done or done.returncode:
        pytest.skip("a file system can't be mounted here")
    try:
        yield folder
    finally:
        (folder / "ballast").unlink(missing_ok=True)
        lifecycle.stop(folder)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> None:
    """Write until nothing more goes on the disk; then make room for `leave` bytes again."""
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        for size in (1_000_000, 4_096):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError:
                continue
        ballast.truncate(ballast.tell() - leave)


def make_room(folder: Path) -> None:
    (folder / "ballast").unlink()


def test_a_start_on_a_full_disk_names_the_disk_and_leaves_nothing_in_the_way(
    small_disk: Path,
) -> None:
    fill(small_disk)
    with pytest.raises(FullDiskError) as caught:
        lifecycle.ensure(small_disk)

    assert str(caught.value).startswith("the embedded cloud: no space left on the disk that holds ")
    assert str(small_disk) in caught.value.why
    assert "free some space" in caught.value.hint
    make_room(small_disk)
    assert lifecycle.ensure(small_disk).started


def test_a_restart_on_a_full_disk_keeps_what_was_accepted(small_disk: Path) -> None:
    lifecycle.ensure(small_disk)
    connected(small_disk).client("s3").create_bucket(Bucket="kept-over-a-full-disk")
    lifecycle.stop(small_disk)
    fill(small_disk)
    with pytest.raises(FullDiskError, match="bytes free"):
        lifecycle.ensure(small_disk)

    make_room(small_disk)
    lifecycle.ensure(small_disk)
    found = connected(small_disk).client("s3").list_buckets()["Buckets"]
    assert [bucket["Name"] for bucket in found] == ["kept-over-a-full-disk"]


@pytest.mark.fault("F-17")
def test_whoever_asks_is_told_of_the_disk_until_there_is_room(small_disk: Path) -> None:
    lifecycle.ensure(small_disk)
    target = connected(small_disk)
    s3: Any = target.client("s3")
    s3.create_bucket(Bucket="on-a-small-disk")
    assert target.trouble == ""

    fill(small_disk)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket="on-a-small-disk", Key="a", Body=b"a" * 400_000)
    told = seam.explain(caught.value, "uploading a")
    assert isinstance(told, FullDiskError)
    assert str(told).startswith("the embedded cloud: no space left on the disk that holds ")
    assert until_told(target).startswith("no space left on the disk that holds ")

    make_room(small_disk)
    s3.put_object(Bucket="on-a-small-disk", Key="a", Body=b"a" * 400_000)
    assert until_told(target, trouble=False) == ""


def bodies(folder: Path) -> dict[str, int]:
    """Return the files that hold objects' bytes, and their sizes."""
    state = folder / ".imgpipe" / "state" / "blobs"
    return {str(path): path.stat().st_size for path in state.rglob("*") if path.is_file()}


@pytest.mark.fault("F-17", "F-18")
def test_an_upload_to_a_disk_that_gets_full_stores_nothing_by_halves_and_goes_on_with_room(
    disk: Path, tmp_path: Path
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    chance = random.Random(17)
    noise = Image.frombytes("RGB", (900, 900), chance.randbytes(900 * 900 * 3))
    noise.save(album / "b-large.png")  # 2.4 MB: more than there is room for
    Image.new("RGB", (64, 48), "teal").save(album / "a-small.png")
    with (album / "c-huge.png").open("wb") as huge:  # in parts
        noise.save(huge, "PNG")
        huge.truncate(20_000_000)
    pipeline = Pipeline.from_template("queued", disk)
    pipeline.run("up", "--yes")
    pipeline.run("upload", album / "a-small.png", "--wait")
    before = bodies(disk)

    fill(disk, leave=1_500_000)
    refused = pipeline.run("upload", album, code=1).err
    assert "error: the embedded cloud: no space left on the disk that holds" in refused
    assert "hint:  free some space there; what was accepted is kept" in refused
    assert "Traceback" not in refused
    s3: Any = connected(disk).client("s3")
    bucket = pipeline.run("outputs", "--json").json["uploads_bucket"]
    listed = {it["Key"]: it["Size"] for it in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    small = (album / "a-small.png").stat().st_size
    assert set(listed) <= {"incoming/a-small.png", "incoming/album/a-small.png"}
    assert set(listed.values()) == {small}
    fresh = {path: size for path, size in bodies(disk).items() if path not in before}
    assert sum(fresh.values()) < 100_000, "bytes of an upload that was refused are left"

    fill(disk)
    until_told(connected(disk))
    assert "no space left on the disk that holds" in pipeline.run("status", "--check", code=3).out
    make_room(disk)
    until_told(connected(disk), trouble=False)
    ended = pipeline.run("upload", album, "--wait", "--json", code=None).json
    states = {it["key"].rpartition("/")[2]: it["status"] for it in ended}
    assert (states["a-small.png"], states["b-large.png"]) == ("done", "done")
    assert states["c-huge.png"] in {"done", "rejected"}, "what a decoder makes of the zeros"
    got = s3.get_object(Bucket=bucket, Key="incoming/album/b-large.png")["Body"].read()
    assert got == (album / "b-large.png").read_bytes()
    whole = s3.head_object(Bucket=bucket, Key="incoming/album/c-huge.png")["ContentLength"]
    assert whole == 20_000_000


@pytest.mark.fault("F-17")
def test_an_object_that_nearly_fits_is_stored_whole_or_not_at_all(small_disk: Path) -> None:
    """Whether its bytes have no room, or the journal's own pages any more."""
    lifecycle.ensure(small_disk)
    s3: Any = connected(small_disk).client("s3")
    s3.create_bucket(Bucket="nearly-full")
    ends = dict[str, bool]()
    for number, spare in enumerate((-40_000, 0, 4_096, 16_384, 65_536, 250_000, 800_000)):
        key, data = f"{number}", bytes([number]) * 1_000_000
        before = bodies(small_disk)
        fill(small_disk, leave=len(data) + spare)
        told = refusal(s3, "nearly-full", key, data)
        make_room(small_disk)
        ends[key] = told is None
        if told:
            assert isinstance(told, FullDiskError)
            assert bodies(small_disk) == before, f"{spare}: bytes without a name"
    listed = s3.list_objects_v2(Bucket="nearly-full").get("Contents", [])
    assert {it["Key"] for it in listed} == {key for key, kept in ends.items() if kept}
    for it in listed:
        data = s3.get_object(Bucket="nearly-full", Key=it["Key"])["Body"].read()
        assert data == bytes([int(it["Key"])]) * 1_000_000
    assert set(ends.values()) == {True, False}


def refusal(s3: Any, bucket: str, key: str, data: bytes) -> ImgpipeError | None:
    """Put an object; return what is said of it when it isn't taken."""
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=data)
    except ClientError as error:
        return seam.explain(error, f"uploading {key}")
    return None


def connected(folder: Path) -> seam.Cloud:
    return seam.Cloud(seam.local_target(folder))


def until_told(target: seam.Cloud, *, trouble: bool = True) -> str:
    """Ask until an answer says that there is trouble, or none; the server looks at its disk once a second."""
    import time

    deadline = time.monotonic() + 30
    while bool(target.trouble) is not trouble and time.monotonic() < deadline:
        target.client("s3").list_buckets()
        time.sleep(0.1)
    return target.trouble
