"""What a gallery is shown from: pages with cursors, names of colours, placeholders, leave to upload."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from imgpipe.errors import UsageError
from imgpipe.operate import gallery, hues, placeholder, rows
from imgpipe.operate.gallery import Search
from imgpipe.runtime.image.facts.blurhash import blurhash

MOMENT = "2026-11-21T12:00:00.000Z"


def row(number: int, at: str = MOMENT, **facts: Any) -> dict[str, Any]:
    return {"key": f"incoming/{number:04}.jpg", "uploaded_at": at, "status": "done", "facts": facts}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The rows that a fake index answers with, the latest first, up to and with `until`."""
    held: list[dict[str, Any]] = []

    def by_status(_project: Any, _statuses: Any, **asked: Any) -> Iterator[dict[str, Any]]:
        until = asked["until"]
        for one in held:
            if until is None or one["uploaded_at"] <= gallery_iso(until):
                yield one

    monkeypatch.setattr(rows, "by_status", by_status)
    return held


def gallery_iso(when: Any) -> str:
    from imgpipe.operate.times import iso

    return iso(when)


def walk(search: Search, size: int) -> list[str]:
    project: Any = SimpleNamespace(graph=SimpleNamespace(prefix="incoming/"))
    keys: list[str] = []
    cursor = None
    while True:
        page = gallery.page(project, search, cursor, size)
        assert len(page.rows) <= size
        keys += [one["key"] for one in page.rows]
        if page.cursor is None:
            return keys
        cursor = page.cursor


@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_pages_show_every_image_once_also_those_of_one_moment(
    table: list[dict[str, Any]], size: int
) -> None:
    table += [row(number, at="2026-11-21T12:00:01.000Z") for number in range(9)]
    table += [row(number + 100) for number in range(12)]
    assert walk(Search(), size) == [one["key"] for one in table]


def test_an_upload_between_two_pages_moves_nothing(table: list[dict[str, Any]]) -> None:
    table += [row(number, at=f"2026-11-21T12:00:{30 - number:02}.000Z") for number in range(9)]
    project: Any = SimpleNamespace(graph=SimpleNamespace(prefix="incoming/"))
    first = gallery.page(project, Search(), None, 4)
    table.insert(0, row(500, at="2026-11-21T13:00:00.000Z"))
    second = gallery.page(project, Search(), first.cursor, 40)
    assert [one["key"] for one in (*first.rows, *second.rows)] == [one["key"] for one in table[1:]]


def test_a_search_that_finds_little_gives_short_pages_and_goes_on(
    table: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "BUDGET", 10)
    table += [
        row(n, at=f"2026-11-21T11:{59 - n // 60:02}:{59 - n % 60:02}.000Z") for n in range(95)
    ]
    assert walk(Search(name="0090"), 40) == ["incoming/0090.jpg"]


@pytest.mark.parametrize("cursor", ["", "x", base64.urlsafe_b64encode(b"[1]").decode()])
def test_a_cursor_that_no_page_gave_is_refused(cursor: str) -> None:
    project: Any = SimpleNamespace(graph=SimpleNamespace(prefix=""))
    with pytest.raises(UsageError):
        gallery.page(project, Search(), cursor or "?", 4)


def test_images_are_found_by_name_camera_colour_and_tag() -> None:
    one = row(
        1,
        exif={"make": "NIKON CORPORATION", "camera": "NIKON D90"},
        palette=["#2255cc", "#ffffff"],
        tags=[{"name": "landscape", "origin": "basic"}],
    )
    for search in (
        Search(name="000"),
        Search(camera="nikon"),
        Search(colour="blue"),
        Search(tags=("Landscape",)),
    ):
        assert gallery.chooser("incoming/", search)(one)
    for search in (
        Search(name="incoming"),
        Search(camera="canon"),
        Search(colour="red"),
        Search(tags=("landscape", "dark")),
    ):
        assert not gallery.chooser("incoming/", search)(one)


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("#ff0000", "red"),
        ("#0000ff", "blue"),
        ("#101010", "black"),
        ("#fafafa", "white"),
        ("#808080", "grey"),
        ("#6b4a2b", "brown"),
        ("#2f9e44", "green"),
        ("", ""),
        ("#zzzzzz", ""),
    ],
)
def test_colours_have_the_names_that_people_use(colour: str, name: str) -> None:
    assert hues.name(colour) == name


def test_a_placeholder_looks_like_its_picture() -> None:
    half = Image.new("RGB", (32, 32), "#d02020")
    half.paste("#2020d0", (16, 0, 32, 32))
    uri = placeholder.data_uri(blurhash(half))
    png = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    left, right = png.getpixel((1, 6)), png.getpixel((10, 6))
    assert left[0] > left[2] + 60  # type: ignore[index, operator]
    assert right[2] > right[0] + 60  # type: ignore[index, operator]


@pytest.mark.parametrize("text", ["", "L", "LA9", "not a blurhash", "é" * 28])
def test_what_is_no_blurhash_has_no_placeholder(text: str) -> None:
    assert placeholder.data_uri(text) == ""
