"""The bytes of objects: there as long as an entry names them, and not longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgpipe.local.journal.blobs import Blobs
from imgpipe.local.journal.store import JournalError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*/*")}


def test_bytes_stay_while_one_of_several_entries_names_them(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.write(b"picture")
    blobs.refer("original", [name])
    blobs.refer("copy", [name])
    blobs.settle()
    blobs.refer("original", [])
    blobs.settle()
    assert blobs.read(name) == b"picture"
    blobs.refer("copy", [])
    blobs.settle()
    assert names(tmp_path) == set()


def test_overwritten_bytes_go_only_when_the_change_is_committed(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    old = blobs.write(b"old")
    blobs.refer("key", [old])
    blobs.settle()
    new = blobs.write(b"new")
    blobs.refer("key", [new])
    assert names(tmp_path) == {old, new}
    blobs.settle()
    assert names(tmp_path) == {new}


def test_what_a_crash_left_over_is_swept_at_the_next_start(tmp_path: Path) -> None:
    kept, orphan = Blobs(tmp_path).write(b"kept"), Blobs(tmp_path).write(b"orphan")
    blobs = Blobs(tmp_path)
    blobs.refer("key", [kept])
    blobs.sweep()
    assert names(tmp_path) == {kept}
    assert orphan not in names(tmp_path)


def test_bytes_that_the_disk_does_not_take_are_refused(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    (tmp_path / "blobs").rmdir()
    with pytest.raises(JournalError):
        blobs.write(b"nowhere to go")
