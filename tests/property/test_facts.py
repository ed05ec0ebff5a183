"""Facts: whatever a file holds, they are sane JSON; a place is told no more exactly than allowed."""

import io
import json
import math
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from imgpipe.runtime import image, items, steps
from imgpipe.runtime.image.facts import values
from imgpipe.runtime.image.facts.measures import phash
from imgpipe.runtime.made import Made
from imgpipe.runtime.settings import Limits
from tests.fakes import SETTINGS, UPLOADS, FakeContext, FakeStore, s3_event, sqs_event
from tests.pictures import corners, encoded

EVERYTHING = {"exif": True, "gps": "keep", "palette": 5, "tags": "basic"}
VARIANT = {"variants": {"v": {"width": 30, "metadata": "all"}}}
KINDS = {
    "1": ["PNG", "TIFF"],
    "L": ["PNG", "JPEG", "TIFF", "WEBP", "BMP"],
    "P": ["PNG", "GIF", "BMP"],
    "RGB": ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "AVIF"],
    "RGBA": ["PNG", "WEBP", "TIFF"],
    "CMYK": ["JPEG", "TIFF"],
    "I;16": ["PNG", "TIFF"],
    "F": ["TIFF"],
}
CARRIERS = frozenset({"JPEG", "PNG", "WEBP", "AVIF"})
BYTES_EACH = {"RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 2, "F": 4}
IFD, GPS = ExifTags.IFD, ExifTags.GPS


def make(data: bytes, **wanted: Any) -> Made:
    return image.make(data, {"s": wanted}, Limits())["s"]


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Image.Image, str]:
    """Return a small picture of any mode, with any pixels, and a format that can hold it."""
    mode = draw(st.sampled_from(sorted(KINDS)))
    size = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    length = (
        (size[0] + 7) // 8 * size[1] if mode == "1" else math.prod(size) * BYTES_EACH.get(mode, 1)
    )
    pixels = draw(st.binary(min_size=length, max_size=length))
    return Image.frombytes(mode, size, pixels), draw(st.sampled_from(KINDS[mode]))


def rationals() -> st.SearchStrategy[IFDRational]:
    return st.builds(IFDRational, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))


@st.composite
def notes(draw: st.DrawFn) -> bytes:
    """Return an EXIF block: tags that we read with values of any type, or anything at all."""
    if draw(st.booleans()):
        return (
            b"Exif\0\0" + draw(st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*"])) + draw(st.binary())
        )
    some = st.one_of(
        st.text(max_size=300), st.binary(max_size=99), st.integers(0, 65_535), rationals()
    )
    made = Image.Exif()
    made.update(draw(st.dictionaries(st.sampled_from([271, 272, 274, 305, 306, 315, 33432]), some)))
    inner = st.sampled_from([33434, 33437, 34855, 36867, 36881, 37380, 37386, 41989, 42036])
    made.get_ifd(IFD.Exif).update(draw(st.dictionaries(inner, some)))
    places = st.one_of(some, st.tuples(rationals(), rationals(), rationals()))
    made.get_ifd(IFD.GPSInfo).update(draw(st.dictionaries(st.integers(0, 31), places)))
    try:
        return made.tobytes()
    except Exception:
        assume(False)
        raise


def _carrying(im: Image.Image, kind: str, exif: bytes) -> bytes:
    """Return a file with these notes, where its format has any. AVIF's encoder reads them, and may fail at it."""
    try:
        return encoded(im, kind, **({"exif": exif} if kind in CARRIERS else {}))
    except Exception:
        assume(kind != "AVIF")
        raise


@settings(deadline=None)
@given(pictures(), notes())
@example((Image.new("RGB", (1, 1)), "AVIF"), b"Exif\0\0MM\0*")
def test_facts_are_sane_json_whatever_the_file_holds(
    picture: tuple[Image.Image, str], exif: bytes
) -> None:
    im, kind = picture
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = _carrying(im, kind, exif)
    made = make(data, **EVERYTHING, **VARIANT)
    facts = dict(made.facts)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert items.decode(items.encode(facts)) == facts
    assert (facts["width"], facts["height"]) in (im.size, im.size[::-1])
    for value in facts.get("exif", {}).values():
        assert not isinstance(value, str) or 0 < len(value) <= values.MAX_TEXT
        assert not isinstance(value, str) or value.isprintable()


@given(st.one_of(st.text(), st.binary(), st.none(), st.floats(), st.tuples(st.text())))
def test_a_text_is_printable_short_and_settled(value: Any) -> None:
    told = values.text(value)
    if told is not None:
        assert 0 < len(told) <= values.MAX_TEXT
        assert told.isprintable()
        assert told == told.strip()


@given(st.one_of(st.floats(), st.integers(), rationals(), st.text(), st.none(), st.booleans()))
def test_a_number_is_finite(value: Any) -> None:
    told = values.number(value)
    assert told is None or (math.isfinite(told) and abs(told) <= values.MAX_NUMBER)


def located(latitude: float, longitude: float) -> bytes:
    """Return a photograph taken there, as exactly as EXIF can say."""

    def exactly(degrees: float) -> tuple[IFDRational, int, int]:
        return IFDRational(round(abs(degrees) * 10_000_000), 10_000_000), 0, 0

    made = Image.Exif()
    made.get_ifd(IFD.GPSInfo).update(
        {
            GPS.GPSLatitudeRef: "S" if latitude < 0 else "N",
            GPS.GPSLatitude: exactly(latitude),
            GPS.GPSLongitudeRef: "W" if longitude < 0 else "E",
            GPS.GPSLongitude: exactly(longitude),
            GPS.GPSAltitude: IFDRational(round(abs(latitude) * 1000), 100),
            GPS.GPSImgDirection: IFDRational(round(abs(longitude) * 100), 100),
        }
    )
    return encoded(corners(40, 30), exif=made)


LATITUDES, LONGITUDES = st.floats(-89.9, 89.9), st.floats(-179.9, 179.9)
POLICIES = st.one_of(st.just("round"), st.integers(0, 4))


def decimals(policy: str | int) -> int:
    return 2 if isinstance(policy, str) else policy


@settings(deadline=None)
@given(LATITUDES, LONGITUDES, POLICIES, st.floats(-0.49, 0.49), st.floats(-0.49, 0.49))
def test_all_places_of_a_cell_are_told_alike(
    latitude: float, longitude: float, policy: str | int, north: float, east: float
) -> None:
    digits = decimals(policy)
    cell = 10.0**-digits
    centre = (round(latitude, digits), round(longitude, digits))
    assume(abs(centre[0]) < 89 and abs(centre[1]) < 179)
    inside = (centre[0] + north * cell, centre[1] + east * cell)
    wanted = {"exif": True, "gps": policy, **VARIANT}
    one, other = (make(located(*where), **wanted) for where in (centre, inside))
    assert one.facts == other.facts
    assert one.facts["gps"] == {"latitude": centre[0], "longitude": centre[1]}
    assert one.variants["v"].data == other.variants["v"].data


@settings(deadline=None)
@given(LATITUDES, LONGITUDES, st.sampled_from(["drop", {"row": "drop", "outputs": "drop"}, {}]))
def test_a_dropped_place_leaves_no_trace(
    latitude: float, longitude: float, policy: str | Mapping[str, str]
) -> None:
    wanted = {**EVERYTHING, "gps": policy, **VARIANT}
    there, nowhere = (
        make(located(latitude, longitude), **wanted),
        make(encoded(corners(40, 30)), **wanted),
    )
    there_exif, nowhere_exif = (dict(made.facts) for made in (there, nowhere))
    assert there_exif == nowhere_exif
    assert there.variants["v"].data == nowhere.variants["v"].data


def test_a_dropped_place_is_in_no_log_and_no_message(capfd: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    store = FakeStore()
    record = store.upload(UPLOADS, "incoming/a.jpg", located(48.858331, -2.294444))
    told = replace(SETTINGS, steps={"facts": {**EVERYTHING, **VARIANT, "gps": "drop", "hash": "h"}})
    steps.run(sqs_event(s3_event(record)), FakeContext(), image.make, store=store, settings=told)
    said = capfd.readouterr()
    sent = "".join(message.body for queue in store.queues.values() for message in queue)
    for text in (said.out, said.err, sent):
        assert "48.8" not in text
        assert "2.29" not in text
        assert "gps" not in text.lower().replace('"gps":"drop"', "")


@st.composite
def scenes(draw: st.DrawFn) -> Image.Image:
    """Return a picture with large shapes in it, as photographs have."""
    seeds = draw(
        st.binary(
            min_size=36,
            max_size=36,
        ).filter(lambda each: max(each) - min(each) > 120)
    )
    return Image.frombytes("L", (6, 6), seeds).resize((300, 300), Image.Resampling.BICUBIC)


@settings(deadline=None)
@given(scenes(), st.integers(64, 600), st.integers(30, 95))
def test_a_hash_hardly_changes_with_size_and_quality(
    scene: Image.Image, side: int, quality: int
) -> None:
    with Image.open(io.BytesIO(encoded(scene.resize((side, side)), quality=quality))) as again:
        apart = (int(phash(scene), 16) ^ int(phash(again.convert("L")), 16)).bit_count()
    assert apart <= 10
