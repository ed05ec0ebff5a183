"""What is told about a picture, and what isn't."""

import json
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageColor
from PIL.TiffImagePlugin import IFDRational

from imgpipe.runtime import image
from imgpipe.runtime.image.facts.blurhash import blurhash
from imgpipe.runtime.settings import Limits
from tests.pictures import RED, corners, encoded, exif, near

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
        "depth": 8,
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
    ("tags", "told"),
    [
        ({0x9003: "2026:01:31 12:34:56", 0x9011: "+02:00"}, "2026-01-31T12:34:56+02:00"),
        ({0x9003: "2026:01:31 12:34:56", 0x9011: "Z"}, "2026-01-31T12:34:56+00:00"),
        ({0x9003: "2026:01:31 12:34:56", 0x9011: "+99:99"}, "2026-01-31T12:34:56"),
        ({0x9003: "2026:01:31 12:34:56", 0x9010: "+02:00"}, "2026-01-31T12:34:56"),
        ({0x9003: "0000:00:00 00:00:00"}, None),
        ({0x9003: "2026:02:31 12:34:56"}, None),
    ],
)
def test_a_moment_has_its_offset_if_the_camera_told_it(tags: dict[int, Any], told: Any) -> None:
    made = exif(t272="D90")
    made.get_ifd(EXIF_IFD).update(tags)
    assert facts(encoded(corners(), exif=made), exif=True)["exif"].get("taken_at") == told


@pytest.mark.parametrize("written", ["Zoë".encode(), "Zoë".encode("latin-1")])
def test_a_name_in_any_encoding_is_read(written: Any) -> None:
    made = exif(t315=written)
    assert facts(encoded(corners(), exif=made), exif=True)["exif"]["artist"] == "Zoë"


@pytest.mark.parametrize(
    ("mode", "kind", "bits"),
    [
        ("1", "PNG", 1),
        ("L", "PNG", 8),
        ("I;16", "PNG", 16),
        ("RGB", "JPEG", 8),
        ("I;16", "TIFF", 16),
        ("F", "TIFF", 32),
        ("RGB", "AVIF", 8),
    ],
)
def test_the_depth_is_what_the_file_stores(mode: str, kind: str, bits: int) -> None:
    assert facts(encoded(Image.new(mode, (40, 30)), kind))["depth"] == bits


def test_the_profile_is_told_by_its_own_name() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert "sRGB" in facts(encoded(corners(), icc_profile=srgb))["profile"]
    assert "profile" not in facts(encoded(corners(), icc_profile=b"no profile"))


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("drop", None),
        ("round", {"latitude": 48.86, "longitude": -2.29}),
        ("keep", {"latitude": 48.858331, "longitude": -2.294444}),
        (0, {"latitude": 49, "longitude": -2}),
        (4, {"latitude": 48.8583, "longitude": -2.2944}),
        ({"row": "round", "outputs": "drop"}, {"latitude": 48.86, "longitude": -2.29}),
        ({"row": "drop", "outputs": "keep"}, None),
        ({}, None),
    ],
)
def test_a_place_is_told_as_the_policy_says(policy: Any, told: Any) -> None:
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
    first, second = (ImageColor.getrgb(colour) for colour in told["palette"])
    assert near(first, RED)
    assert near(second, (0, 0, 255), 25)
    assert told["average"].startswith("#b")


def test_a_blurhash_is_the_one_that_others_calculate() -> None:
    """The expected texts are those of the package `blurhash` 1.1.5 for the same pixels."""
    assert blurhash(corners(32, 24)) == "LpIz|zm4espSrB}PslJCe-s+jsWX"
    assert blurhash(corners(24, 32)) == "ToIz|zqXetm*}Psle.slj?o~I^WX"
    assert blurhash(Image.new("RGB", (1, 1), RED)) == "L~PJ0%|_|_|_|_|_|_|_|_|_|_|_"


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (3, 2)])
def test_the_smallest_pictures_have_colours_too(size: tuple[int, int]) -> None:
    told = facts(encoded(Image.new("RGB", size, RED), "PNG"), palette=5)
    assert told["palette"] == ["#dc1e1e"]
    assert told["average"] == "#dc1e1e"
