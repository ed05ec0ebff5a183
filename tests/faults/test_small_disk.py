"""A disk that is truly full, a tiny one of its own: every command's words, and that all goes on when there is room."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imgpipe import cloud as seam
from imgpipe.errors import FullDiskError
from imgpipe.local import lifecycle

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A project on a file system of 20 MB. Mounting one takes root: others skip."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    done = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False)
    if not done or done.returncode:
        pytest.skip("a file system can't be mounted here")
    try:
        yield folder
    finally:
        (folder / "ballast").unlink(missing_ok=True)
        lifecycle.stop(folder)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        for size in (1_000_000, 4_096):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError:
                continue


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
