"""Turns, borders, watermarks, and filters of a project's own, as they come out of `make`."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from imgpipe.runtime import image
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.image.filters import apply
from imgpipe.runtime.settings import Limits
from tests.pictures import BLUE, GREEN, RED, YELLOW, colours_of, corners, encoded, near, opened


def make(
    *filters: Any, im: Image.Image | None = None, folder: Path | None = None, **settings: Any
) -> Image.Image:
    variant = {"width": 200, "format": "png", **settings}
    wanted = {"s": {"filters": list(filters), "variants": {"v": variant}}}
    data = encoded(im or corners(), "PNG")
    return opened(image.make(data, wanted, Limits(), folder)["s"].variants["v"].data)


def arrangement(im: Image.Image) -> list[tuple[int, ...]]:
    known = (RED, GREEN, BLUE, YELLOW)
    return [next(each for each in known if near(each, seen, 30)) for seen in colours_of(im)]


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        ({"rotate": 90}, [BLUE, RED, YELLOW, GREEN]),
        ({"rotate": 180}, [YELLOW, BLUE, GREEN, RED]),
        ({"rotate": 270}, [GREEN, YELLOW, RED, BLUE]),
        ({"rotate": -90}, [GREEN, YELLOW, RED, BLUE]),
        ({"flip": "horizontal"}, [GREEN, RED, YELLOW, BLUE]),
        ({"flip": None}, [GREEN, RED, YELLOW, BLUE]),
        ({"flip": "vertical"}, [BLUE, YELLOW, RED, GREEN]),
    ],
)
def test_turns_are_clockwise_and_lose_nothing(each: Any, expected: list[Any]) -> None:
    assert arrangement(make(each)) == expected


def test_a_turned_picture_fits_its_size() -> None:
    assert make({"rotate": 90}).size == (200, 267)
    assert make({"rotate": 90}, height=200).size == (150, 200)
    turned = make({"rotate": 10}, height=200)
    assert max(turned.size) == 200


def test_a_strip_that_needs_a_huge_canvas_is_refused() -> None:
    strip = Image.new("RGB", (1, 20_000))
    assert make({"rotate": 90}, im=strip).size == (200, 1)
    with pytest.raises(Rejected) as caught:
        make({"rotate": 30}, im=strip, width=20_000)
    assert caught.value.reason is Reason.MEMORY_LIMIT


def test_other_angles_leave_clear_corners_or_the_background() -> None:
    clear = make({"rotate": 30})
    assert clear.getpixel((1, 1))[3] == 0  # type: ignore[index]
    flat = make({"rotate": 30}, format="jpeg", background="#00ff00")
    assert near(tuple(flat.getpixel((1, 1))), (0, 255, 0), 20)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 200},
        {"width": 200, "height": 200},
        {"width": 120, "height": 200, "fit": "cover"},
        {"width": 200, "height": 200, "fit": "contain"},
    ],
)
def test_a_border_is_within_the_size_and_cuts_nothing_off(settings: dict[str, Any]) -> None:
    made = make({"border": {"width": 8, "colour": "#102030"}}, **settings)
    plain = make(**settings)
    assert made.width == plain.width
    assert abs(made.height - plain.height) <= 4
    for at in ((0, 0), (made.width - 1, made.height - 1), (7, made.height // 2)):
        assert made.getpixel(at) == (0x10, 0x20, 0x30)
    assert arrangement(made) == [RED, GREEN, BLUE, YELLOW]


@pytest.mark.parametrize(
    ("position", "box"),
    [("bottom-right", (100, 75, 200, 150)), ("top-left", (0, 0, 100, 75))],
)
def test_a_text_stands_in_its_corner_and_nowhere_else(
    position: str, box: tuple[int, int, int, int]
) -> None:
    grey = Image.new("RGB", (400, 300), (120, 120, 120))
    made = make({"watermark": {"text": "© Zoë", "size": 12, "position": position}}, im=grey)
    changed = ImageChops.difference(made.convert("L"), Image.new("L", made.size, 120)).getbbox()
    assert changed
    assert box[0] <= changed[0]
    assert box[1] <= changed[1]
    assert changed[2] <= box[2]
    assert changed[3] <= box[3]


@pytest.mark.parametrize("text", ["© Studio", "Åsa Żółć", "Ελλάδα", "Пример", "€ — “…”"])
def test_the_shipped_font_knows_the_letters_of_europe(text: str) -> None:
    from PIL import ImageFont

    from imgpipe.runtime.image.filters.marks import FONT

    font = ImageFont.truetype(FONT, 40, layout_engine=ImageFont.Layout.BASIC)
    unknown = bytes(font.getmask("\U0010ffff"))
    assert all(bytes(font.getmask(letter)) != unknown for letter in text if letter != " ")


def test_a_text_that_is_too_long_becomes_smaller() -> None:
    grey = Image.new("RGB", (200, 100), (120, 120, 120))
    made = make({"watermark": {"text": "A long name " * 9, "size": 50}}, im=grey)
    changed = ImageChops.difference(made.convert("L"), Image.new("L", made.size, 120)).getbbox()
    assert changed
    assert changed[2] - changed[0] > 150


def test_a_picture_of_the_projects_own_is_a_watermark(tmp_path: Path) -> None:
    Image.new("RGBA", (50, 50), (255, 0, 255, 255)).save(tmp_path / "logo.png")
    mark = {"image": "logo.png", "size": 25, "opacity": 1, "position": "centre", "margin": 0}
    made = make({"watermark": mark}, folder=tmp_path)
    assert made.getpixel((100, 75)) == (255, 0, 255)
    assert made.getpixel((74, 75)) != (255, 0, 255)
    with pytest.raises(ValueError, match="there is no file"):
        make({"watermark": {"image": "../logo.png"}}, folder=tmp_path / "sub")


def test_half_opacity_is_half_the_mark() -> None:
    black = Image.new("RGB", (200, 100))
    mark = {"text": "■", "size": 80, "position": "centre"}
    full = make({"watermark": {**mark, "opacity": 1}}, im=black)
    half = make({"watermark": {**mark, "opacity": 0.5}}, im=black)
    assert near(
        tuple(ImageStat.Stat(half).mean), tuple(m / 2 for m in ImageStat.Stat(full).mean), 2
    )  # type: ignore[arg-type]


def test_marks_keep_grey_grey_and_clear_clear() -> None:
    grey = corners().convert("L")
    assert make({"watermark": "© Studio"}, {"border": 3}, im=grey).mode == "L"
    assert make({"watermark": {"text": "x", "colour": "#ff0000"}}, im=grey).mode == "RGB"
    clear = Image.new("RGBA", (200, 100), (200, 30, 30, 0))
    made = make({"watermark": {"text": "x", "opacity": 1}}, im=clear)
    assert made.mode in ("RGBA", "LA")
    low, high = made.getchannel("A").getextrema()
    assert low == 0
    assert high > 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"watermark": {"text": "x", "position": "north"}},
        {"watermark": {"text": "x", "sise": 3}},
        {"watermark": {"text": "x", "opacity": 2}},
        {"watermark": {"text": "x", "image": "y"}},
        {"watermark": {"text": "x", "margin": 90}},
        {"watermark": {"text": "x", "size": 0}},
        {"border": -1},
        {"border": {"width": 3, "color": "#ffffff"}},
        {"flip": "sideways"},
    ],
)
def test_a_wrong_value_is_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        apply(corners(), [wrong])


OWN = """
from PIL import ImageChops

PHASE = "finish"

def negative(im, value):
    return ImageChops.invert(im.convert("RGB"))
"""


def test_a_filter_of_ones_own_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "negative.py").write_text(OWN)
    made = make({"negative": True}, folder=tmp_path)
    expected = tuple(255 - channel for channel in RED)
    assert near(colours_of(made)[0], expected, 2)
    with pytest.raises(LookupError, match="there is no filter"):
        make({"negative": True})


def test_a_small_picture_survives_every_mark() -> None:
    dot = Image.new("RGB", (1, 1), RED)
    for each in ({"watermark": "© Studio"}, {"border": 2}, {"rotate": 45}, {"flip": None}):
        assert make(each, im=dot).size >= (1, 1)


def test_a_border_never_leaves_its_box() -> None:
    assert make({"border": 99}, height=200).size == (200, 200)
    with pytest.raises(ValueError, match="leaves nothing of `v`"):
        make({"border": 100})


def test_every_letter_of_a_watermark_is_in_its_font() -> None:
    make({"watermark": "\N{COPYRIGHT SIGN} Stúdió, Åsa & Søn: Фото Φως 2026\N{NO-BREAK SPACE}-"})
    with pytest.raises(ValueError, match="has no 写真:"):
        make({"watermark": "Foto 写真"})


IN_PLACE = """
from PIL import ImageDraw

PHASE = "finish"

def dot(im, value):
    ImageDraw.Draw(im).rectangle((0, 0, 9, 9), fill="black")
    return im
"""


def test_what_a_filter_draws_on_is_its_own(tmp_path: Path) -> None:
    """Smaller variants, and those of other steps, are made of the same pixels."""
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "dot.py").write_text(IN_PLACE)
    wide, small = {"width": 200, "format": "png"}, {"width": 100, "format": "png"}
    steps: dict[str, Any] = {
        "marked": {"filters": [{"dot": True}], "variants": {"wide": wide, "small": small}},
        "plain": {"variants": {"other": wide}},
    }
    done = image.make(encoded(Image.new("RGB", (400, 400), "white")), steps, Limits(), tmp_path)
    pictures = done["marked"].variants | done["plain"].variants
    left = {
        name: opened(made.data).convert("L").crop((0, 0, 11, 1)) for name, made in pictures.items()
    }
    assert list(left["wide"].tobytes()) == [0] * 10 + [255]
    assert list(left["small"].tobytes()) == [0] * 10 + [255]
    assert list(left["other"].tobytes()) == [255] * 11
