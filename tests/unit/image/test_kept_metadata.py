"""What of the original's metadata is in a variant: nothing, unless it is asked for."""

import io
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from imgpipe.runtime import image
from imgpipe.runtime.settings import Limits
from tests.pictures import corners, exif

BASE, IFD, GPS = ExifTags.Base, ExifTags.IFD, ExifTags.GPS
SECRETS = (b"SERIAL123", b"MAKERNOTE", b"XMPSECRET", b"CITYSECRET", b"COMMENTSECRET", b"GPSSECRET")
KINDS = ["jpeg", "png", "webp"]


def dms(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    whole = int(degrees)
    return (
        IFDRational(whole),
        IFDRational(round((degrees - whole) * 60_000_000), 1_000_000),
        IFDRational(0),
    )


def notes() -> Image.Exif:
    made = exif(t272="D90", t271="Nikon", t274=6, t315="Ann Artist", t33432="(c) Ann")
    made.get_ifd(IFD.Exif).update(
        {
            BASE.BodySerialNumber: "SERIAL123",
            BASE.MakerNote: b"MAKERNOTE",
            BASE.UserComment: b"ASCII\0\0\0COMMENTSECRET",
            BASE.ExposureTime: IFDRational(1, 250),
            BASE.DateTimeOriginal: "2026:01:31 12:34:56",
            BASE.ISOSpeedRatings: 200,
        }
    )
    made.get_ifd(IFD.GPSInfo).update(
        {
            GPS.GPSLatitudeRef: "N",
            GPS.GPSLatitude: dms(48.858331),
            GPS.GPSLongitudeRef: "W",
            GPS.GPSLongitude: dms(2.294444),
            GPS.GPSAltitude: IFDRational(357),
            GPS.GPSProcessingMethod: b"GPSSECRET",
        }
    )
    return made


def iptc() -> bytes:
    """Return an APP13 segment with a city, a by-line and a copyright notice."""
    records = b"".join(
        b"\x1c\x02" + bytes([number]) + len(value).to_bytes(2, "big") + value
        for number, value in ((90, b"CITYSECRET"), (80, b"Bob Byline"), (116, b"(c) Bob"))
    )
    block = (
        b"8BIM\x04\x04\0\0" + len(records).to_bytes(4, "big") + records + b"\0" * (len(records) % 2)
    )
    body = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


def photo(told: Image.Exif | None) -> bytes:
    """Return a JPEG that carries EXIF, GPS, XMP, IPTC, a profile and a comment."""
    out = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    more: dict[str, Any] = {} if told is None else {"exif": told}
    corners().save(
        out, "JPEG", icc_profile=profile, comment=b"COMMENTSECRET", xmp=b"<x>XMPSECRET</x>", **more
    )
    data = out.getvalue()
    return data[:2] + iptc() + data[2:]


def variant(data: bytes, kind: str = "jpeg", gps: Any = "drop", **settings: Any) -> bytes:
    wanted = {"s": {"gps": gps, "variants": {"v": {"width": 100, "format": kind, **settings}}}}
    return image.make(data, wanted, Limits())["s"].variants["v"].data


def read(data: bytes) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    found = Image.open(io.BytesIO(data))
    found.load()
    told = found.getexif()
    return dict(told), dict(told.get_ifd(IFD.Exif)), dict(told.get_ifd(IFD.GPSInfo))


def degrees(gps: dict[int, Any]) -> tuple[float, float]:
    def whole(parts: Any) -> float:
        return sum(float(part) / 60**power for power, part in enumerate(parts))

    return whole(gps[GPS.GPSLatitude]), whole(gps[GPS.GPSLongitude])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gps", ["drop", "round", "keep"])
def test_a_variant_carries_nothing_by_itself(kind: str, gps: str) -> None:
    made = variant(photo(notes()), kind, gps)
    assert read(made) == ({}, {}, {})
    found = Image.open(io.BytesIO(made)).info
    assert not {"icc_profile", "exif", "xmp", "comment", "photoshop"} & {*found}
    for secret in (*SECRETS, b"Ann", b"Bob", b"Nikon"):
        assert secret not in made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gps", ["drop", "keep"])
def test_copyright_keeps_the_author_alone(kind: str, gps: str) -> None:
    made = variant(photo(notes()), kind, gps, metadata="copyright")
    assert read(made) == ({BASE.Artist: "Ann Artist", BASE.Copyright: "(c) Ann"}, {}, {})
    assert not any(secret in made for secret in SECRETS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_author_that_iptc_names_is_kept_where_exif_names_none(kind: str) -> None:
    made = variant(photo(None), kind, metadata="copyright")
    assert read(made)[0] == {BASE.Artist: "Bob Byline", BASE.Copyright: "(c) Bob"}
    assert b"CITYSECRET" not in made


@pytest.mark.parametrize("kind", KINDS)
def test_all_keeps_harmless_notes_and_no_place(kind: str) -> None:
    made = variant(photo(notes()), kind, metadata="all")
    outer, inner, gps = read(made)
    assert outer[BASE.Model] == "D90"
    assert BASE.Orientation not in outer
    assert float(inner[BASE.ExposureTime]) == pytest.approx(0.004)
    assert inner[BASE.ISOSpeedRatings] == 200
    assert inner[BASE.DateTimeOriginal] == "2026:01:31 12:34:56"
    assert not gps
    assert not any(secret in made for secret in SECRETS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("round", (48.86, 2.29)),
        (1, (48.9, 2.3)),
        ("keep", (48.858331, 2.294444)),
        ({"row": "drop", "outputs": "round"}, (48.86, 2.29)),
    ],
)
def test_a_place_is_in_an_output_as_its_own_policy_says(
    kind: str, policy: Any, told: tuple[float, float]
) -> None:
    gps = read(variant(photo(notes()), kind, policy, metadata="all"))[2]
    assert degrees(gps) == pytest.approx(told, abs=1e-6)
    assert (gps[GPS.GPSLatitudeRef], gps[GPS.GPSLongitudeRef]) == ("N", "W")
    assert GPS.GPSAltitude not in gps


@pytest.mark.parametrize("policy", ["drop", {"row": "keep", "outputs": "drop"}])
def test_the_rows_policy_says_nothing_about_outputs(policy: Any) -> None:
    assert not read(variant(photo(notes()), gps=policy, metadata="all"))[2]


def test_broken_exif_is_not_kept_and_costs_nothing() -> None:
    whole = photo(notes())
    at = whole.index(b"Exif\0\0") + 10
    for damage in (b"\xff" * 40, b"\0" * 40):
        assert variant(whole[:at] + damage + whole[at + 40 :], metadata="all")
