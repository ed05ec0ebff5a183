"""What is told about a picture, and what isn't."""

import json
from typing import Any

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from imgpipe.runtime import image
from imgpipe.runtime.settings import Limits
from tests.pictures import RED, corners, encoded, exif

EXIF_IFD, GPS_IFD = 0x8769, 0x8825


def facts(data: bytes, **settings: Any) -> dict[str, Any]:
    found = dict(image.make(data, {"metadata": settings}, Limits())["metadata"].facts)
    json.dumps(found, allow_nan=False)
    return found


def camera_notes() -> Image.Exif:
    made = exif(t271="Nikon\0\0", t272="D90", t305="Ver.1.00 ", t274=6)
    made.get_ifd(EXIF_IFD).update(
        {
            0x829A: IFDRational(1, 250),
            0x829D: IFDRational(28, 10),
            0x8827: 200,
            0x920A: IFDRational(50),
            0x9003: "2026:01:31 12:34:56",
            0xA434: "AF 50mm f/1.8",
        }
    )
    made.get_ifd(GPS_IFD).update(
        {
            1: "N",
            2: (IFDRational(48), IFDRational(51), IFDRational(2999, 100)),
            3: "W",
            4: (IFDRational(2), IFDRational(17), IFDRational(40)),
        }
    )
    return made


def photo() -> bytes:
    return encoded(corners(), exif=camera_notes())


def test_a_picture_is_described_upright() -> None:
    assert facts(photo()) == {
        "format": "jpeg",
        "width": 300,
        "height": 400,
        "mode": "RGB",
        "orientation": 6,
    }


def test_the_cameras_notes_have_units() -> None:
    assert facts(photo(), exif=True)["exif"] == {
        "make": "Nikon",
        "camera": "D90",
        "software": "Ver.1.00",
        "lens": "AF 50mm f/1.8",
        "taken_at": "2026-01-31T12:34:56",
        "exposure_s": 0.004,
        "f_number": 2.8,
        "iso": 200,
        "focal_length_mm": 50,
    }


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("drop", None),
        ("round", {"latitude": 48.86, "longitude": -2.29}),
        ("keep", {"latitude": 48.858331, "longitude": -2.294444}),
    ],
)
def test_a_place_is_told_as_the_policy_says(policy: str, told: Any) -> None:
    assert facts(photo(), exif=True, gps=policy).get("gps") == told


def test_no_policy_tells_no_place() -> None:
    assert "gps" not in facts(photo(), exif=True)


@pytest.mark.parametrize(
    "broken",
    [
        {0x829A: IFDRational(1, 0)},
        {0x829A: IFDRational(0, 0)},
        {0x8827: (100, 200)},
        {0x8827: "many"},
        {0x9003: "yesterday"},
        {0x9003: b"\xff\xfe"},
        {0xA434: "x" * 5000},
        {0xA434: "\x1b[31m\u202e<script>"},
    ],
)
def test_senseless_notes_are_left_out_or_cut(broken: dict[int, Any]) -> None:
    made = exif(t272="D90")
    made.get_ifd(EXIF_IFD).update(broken)
    told = facts(encoded(corners(), exif=made), exif=True)["exif"]
    assert told["camera"] == "D90"
    for value in told.values():
        assert not isinstance(value, str) or (len(value) <= 200 and value.isprintable())


@pytest.mark.parametrize(
    "place",
    [
        {2: (1,)},
        {2: (IFDRational(1, 0), 0, 0), 4: (1, 0, 0)},
        {2: (999, 0, 0), 4: (1, 0, 0)},
    ],
)
def test_a_senseless_place_is_none(place: dict[int, Any]) -> None:
    made = exif(t272="D90")
    made.get_ifd(GPS_IFD).update(place)
    assert "gps" not in facts(encoded(corners(), exif=made), exif=True, gps="keep")


def test_broken_exif_never_costs_a_good_picture() -> None:
    whole = photo()
    at = whole.index(b"Exif\0\0") + 10
    for damage in (b"\xff" * 40, b"\0" * 40):
        made = facts(whole[:at] + damage + whole[at + 40 :], exif=True, gps="keep")
        assert made["width"] in (300, 400)


def test_colours_are_told_most_frequent_first() -> None:
    mostly_red = Image.new("RGB", (100, 100), RED)
    mostly_red.paste((0, 0, 255), (80, 0, 100, 100))
    told = facts(encoded(mostly_red, "PNG"), palette=2)
    assert told["palette"] == ["#dc1e1e", "#0000ff"]
    assert told["average"].startswith("#b")


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (3, 2)])
def test_the_smallest_pictures_have_colours_too(size: tuple[int, int]) -> None:
    told = facts(encoded(Image.new("RGB", size, RED), "PNG"), palette=5)
    assert told["palette"] == ["#dc1e1e"]
    assert told["average"] == "#dc1e1e"
