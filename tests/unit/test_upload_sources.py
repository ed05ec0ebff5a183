"""What a person names becomes files and keys, and nothing is left out in silence."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imgpipe.errors import ImgpipeError, UsageError
from imgpipe.operate import images
from imgpipe.operate.upload import sources
from imgpipe.operate.upload.sources import LeftOut, NotSent, Source

if TYPE_CHECKING:
    from collections.abc import Sequence


def keys(paths: Sequence[Path | str], prefix: str = "incoming/") -> list[str | None]:
    return [item.key for item in sources.meant(sources.find([str(path) for path in paths], prefix))]


def told(paths: Sequence[Path | str]) -> dict[str, str]:
    found = sources.find([str(path) for path in paths], "incoming/")
    return {Path(item.path).name: item.reason for item in found if isinstance(item, NotSent)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("holiday/a.jpg", "holiday/2025/b.jpg", "c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.capability("S0-1")
def test_a_file_is_called_by_its_name_and_a_folder_keeps_its_own(folder: Path) -> None:
    assert keys([folder / "c.jpg"]) == ["incoming/c.jpg"]
    assert keys([folder / "holiday/"]) == ["incoming/holiday/2025/b.jpg", "incoming/holiday/a.jpg"]


@pytest.mark.capability("S0-1")
def test_a_glob_means_what_a_shell_would_make_of_it(folder: Path) -> None:
    assert keys([f"{folder}/*.jpg"]) == ["incoming/c.jpg"]
    assert keys([f"{folder}/*"]) == keys([folder / "c.jpg", folder / "holiday"])


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder: Path) -> None:
    (folder / "what[1]*.jpg").write_bytes(b"x")
    assert keys([folder / "what[1]*.jpg"]) == ["incoming/what[1]*.jpg"]


def test_the_working_folder_is_called_by_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "holiday")
    assert keys(["."]) == ["incoming/holiday/2025/b.jpg", "incoming/holiday/a.jpg"]


@pytest.mark.parametrize(
    "name", ["a b+c%20d.jpg", "emoji-\U0001f4f8.jpg", "two\nlines.jpg", "-rf.jpg", "'\".jpg"]
)
def test_hostile_names_are_kept_as_they_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert keys([tmp_path / name]) == [f"incoming/{name}"]


def test_what_can_not_be_sent_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "nothing").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / ".imgpipe").mkdir()
    (tmp_path / ".imgpipe" / "data").write_bytes(b"x")
    (tmp_path / ("x" * 200)).mkdir()
    long = tmp_path / ("x" * 200) / ("y" * 200) / ("z" * 200) / ("w" * 200) / ("v" * 200)
    long.mkdir(parents=True)
    (long / "long.jpg").write_bytes(b"x")
    (tmp_path / os.fsdecode(b"latin-\xe9.jpg")).write_bytes(b"x")

    found = told([tmp_path])
    assert found == {
        "empty.jpg": "empty_file",
        "nothing": "empty_folder",
        "pipe": "not_a_file",
        "broken": "unreadable",
        "loop": "loop",
        ".imgpipe": "own_data",
        "long.jpg": "bad_name",
        os.fsdecode(b"latin-\xe9.jpg"): "bad_name",
    }


def test_links_to_files_and_folders_are_followed(folder: Path) -> None:
    (folder / "again").symlink_to(folder / "holiday")
    assert keys([folder / "again"]) == ["incoming/again/2025/b.jpg", "incoming/again/a.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_told(folder: Path) -> None:
    (folder / "holiday").chmod(0)
    try:
        assert told([folder / "holiday"]) == {"holiday": "unreadable"}
    finally:
        (folder / "holiday").chmod(0o755)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(folder: Path) -> None:
    file = folder / "holiday" / "a.jpg"
    file.chmod(0)
    assert told([file]) == {"a.jpg": "unreadable"}


def test_a_missing_path_and_a_glob_without_a_match_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImgpipeError, match="no such file"):
        sources.refuse_collisions([str(tmp_path / "gone.jpg")])
    with pytest.raises(ImgpipeError, match="nothing matches"):
        sources.refuse_collisions([str(tmp_path / "*.jpg")])


def test_two_files_for_one_key_are_refused_before_anything_is_sent(folder: Path) -> None:
    other = folder / "other"
    (other / "holiday" / "2025").mkdir(parents=True)
    (other / "c.jpg").write_bytes(b"y")
    (other / "holiday" / "new.jpg").write_bytes(b"y")
    sources.refuse_collisions([str(folder / "holiday"), str(other / "holiday")])
    (other / "holiday" / "2025" / "b.jpg").write_bytes(b"y")

    with pytest.raises(UsageError, match=r"both would become 'c\.jpg'"):
        sources.refuse_collisions([str(folder / "c.jpg"), str(other / "c.jpg")])
    with pytest.raises(UsageError, match="2025/b"):
        sources.refuse_collisions([str(folder / "holiday"), str(other / "holiday")])
    with pytest.raises(UsageError, match="both would become"):
        sources.refuse_collisions([str(folder / "holiday"), str(folder / "holiday") + "/"])


def test_a_name_that_the_pipeline_would_not_hear_of_is_not_sent(folder: Path) -> None:
    (folder / "d.PNG").write_bytes(b"x")
    (folder / "e.JpG").write_bytes(b"x")
    found = sources.find([f"{folder}/*.*"], "incoming/", [".jpg", ".png"])
    assert {item.key: isinstance(item, Source) for item in found} == {
        "incoming/c.jpg": True,
        "incoming/d.PNG": True,
        "incoming/e.JpG": False,
    }


def test_the_prefix_of_an_upload_is_inside_the_pipelines_own() -> None:
    assert sources.target("incoming/", "") == "incoming/"
    assert (
        sources.target("incoming/", "trip")
        == sources.target("incoming/", "/incoming/trip/")
        == "incoming/trip/"
    )
    assert sources.target("", "trip") == "trip/"
    with pytest.raises(UsageError):
        sources.target("incoming/", "../secrets")


def test_a_key_is_found_with_and_without_the_prefix() -> None:
    assert images.candidates("incoming/", "a.jpg") == ("incoming/a.jpg",)
    assert images.candidates("incoming/", "incoming/a.jpg") == (
        "incoming/a.jpg",
        "incoming/incoming/a.jpg",
    )
    assert images.candidates("", "a.jpg") == ("a.jpg",)


def test_finding_files_holds_no_list_of_them(tmp_path: Path) -> None:
    """Only the folder being read is in memory: the first file comes before the last folder is opened."""
    for number in range(5):
        (tmp_path / f"folder{number}").mkdir()
        (tmp_path / f"folder{number}" / "a.jpg").write_bytes(b"x")
    coming = sources.find([str(tmp_path)], "")
    assert next(coming).key == f"{tmp_path.name}/folder0/a.jpg"
    (tmp_path / "folder4" / "b.jpg").write_bytes(b"x")
    assert [item.key for item in coming][-1] == f"{tmp_path.name}/folder4/b.jpg"


def test_a_folder_deeper_than_any_recursion_is_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("top").mkdir()
    os.chdir("top")
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.jpg").write_bytes(b"x")
    os.chdir(tmp_path)

    [item] = sources.find(["top"], "incoming/")
    subprocess.run(["rm", "-r", "top"], check=True)  # deeper than Python's own removal goes
    assert isinstance(item, NotSent)
    assert item.reason == "bad_name"


def test_a_flat_folder_of_very_many_files_comes_in_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SORTED_AT_ONCE", 10)
    for number in range(25):
        (tmp_path / f"{number:02}.jpg").write_bytes(b"x")
    found = keys([tmp_path])
    assert len(found) == len(set(found)) == 25
    assert all(
        found[start : start + 10] == sorted(found[start : start + 10], key=str)
        for start in (0, 10, 20)
    )


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder as people have them: photographs, and what lies beside them."""
    for name, content in {
        "a.jpg": b"\xff\xd8\xff\xe0 and so on",
        "scan": b"II*\0 and so on",
        "letter.jpg": b"a text that is called like an image",
        "notes.md": b"# notes",
        "film.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        ".DS_Store": b"\0\0\0\1Bud1",
        "._a.jpg": b"\0\5\x16\7",
        "Thumbs.db": b"\xd0\xcf\x11\xe0",
        ".git/config": b"[core]",
        "empty.txt": b"",
    }.items():
        (tmp_path / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "album" / name).write_bytes(content)
    return tmp_path / "album"


def test_what_is_no_image_in_a_folder_is_left_out_and_named(album: Path) -> None:
    found = list(sources.find([str(album)], "", everything=False))
    left = {Path(it.path).name: it.why for it in found if isinstance(it, LeftOut)}
    assert [Path(it.path).name for it in found if isinstance(it, Source)] == [
        "a.jpg",
        "letter.jpg",
        "scan",
    ]
    assert left == {
        ".DS_Store": "hidden",
        "._a.jpg": "hidden",
        ".git": "hidden",
        "Thumbs.db": "hidden",
        "film.mp4": "not an image",
        "notes.md": "not an image",
    }
    assert [it.reason for it in found if isinstance(it, NotSent)] == ["empty_file"]


def test_everything_is_sent_when_asked_and_a_named_file_always(album: Path) -> None:
    every = list(sources.find([str(album)], "", everything=True))
    assert not any(isinstance(it, LeftOut) for it in every)
    assert len(every) == 10
    named = [str(album / "notes.md"), str(album / ".DS_Store")]
    assert all(isinstance(it, Source) for it in sources.find(named, "", everything=False))


def test_what_is_left_out_is_told_before_and_does_not_count(album: Path) -> None:
    told: list[LeftOut] = []
    files, _ = sources.count(sources.find([str(album)], "", everything=False), told.append)
    assert (files, len(told)) == (3, 6)


def test_what_is_left_out_cannot_collide(album: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "album"
    other.mkdir(parents=True)
    (other / ".DS_Store").write_bytes(b"x")
    sources.refuse_collisions([str(album), str(other)], everything=False)
    with pytest.raises(UsageError, match="DS_Store"):
        sources.refuse_collisions([str(album), str(other)])
