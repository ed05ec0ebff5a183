"""Zips laid out once, whole, inside their folder."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imgpipe.local.lambda_runtime.code import KEPT, Shelf, runtime_folder


def _zip(**files: str) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".py", text)
    return hashlib.sha256(buffer.getvalue()).hexdigest(), buffer.getvalue()


def test_a_zip_is_laid_out_once_for_all(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    digest, zipped = _zip(handler="1", pkg__inner="2")
    with ThreadPoolExecutor(8) as pool:
        places = set(pool.map(lambda _: shelf.lay_out(digest, zipped), range(8)))

    assert places == {tmp_path / digest}
    assert (tmp_path / digest / "pkg" / "inner.py").read_text() == "2"
    assert [each.name for each in tmp_path.iterdir()] == [digest]


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py", "a/../../outside.py"])
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    place = Shelf(tmp_path / "shelf").lay_out("d", buffer.getvalue())

    assert all(path.is_relative_to(place) for path in place.rglob("*"))
    assert {path.name for path in tmp_path.rglob("outside.py")} == {"outside.py"}
    assert not (tmp_path / "outside.py").exists()


def test_modes_are_kept_and_files_stay_readable(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, mode in (("run", 0o755), ("hidden", 0o000), ("plain", 0o644)):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, "x")
    place = Shelf(tmp_path).lay_out("d", buffer.getvalue())

    assert os.access(place / "run", os.X_OK)
    assert (place / "plain").stat().st_mode & 0o777 == 0o644
    assert (place / "hidden").read_text() == "x"


def test_what_an_interrupted_start_left_and_old_code_go(tmp_path: Path) -> None:
    (tmp_path / ".half").mkdir(parents=True)
    for number in range(KEPT + 2):
        place = tmp_path / f"{number:03}"
        place.mkdir()
        os.utime(place, (number, number))
    Shelf(tmp_path)

    assert len(list(tmp_path.iterdir())) == KEPT
    assert not (tmp_path / ".half").exists()
    assert not (tmp_path / "000").exists()


def test_the_runtime_folder_holds_the_sdk_and_nothing_of_ours(tmp_path: Path) -> None:
    names = {path.name for path in runtime_folder(tmp_path / "runtime").iterdir()}

    assert {"boto3", "botocore", "s3transfer", "six.py"} <= names
    assert not {"imgpipe", "typer", "PIL", "ministack"} & names
