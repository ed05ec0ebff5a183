"""Colours come out as they were meant, whatever profile, depth or mode they are stored in."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageCms

from imgpipe.runtime import image
from imgpipe.runtime.image.profiles import is_srgb
from imgpipe.runtime.settings import Limits
from tests import png_files
from tests.pictures import corners, encoded, is_upright, near, opened

DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
"""The primaries in XYZ, adapted to D50, as ICC profiles hold them."""
Matrix = tuple[tuple[float, float, float], ...]


def profile(primaries: Matrix) -> bytes:
    """Return sRGB's profile with other primaries, under another name."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", made, 128)[0]
    for index in range(count):
        tag, offset, _ = struct.unpack_from(">4sII", made, 132 + 12 * index)
        if tag in (b"rXYZ", b"gXYZ", b"bXYZ"):
            xyz = primaries[b"rgb".index(tag[:1])]
            struct.pack_into(">3i", made, offset + 8, *(round(part * 65_536) for part in xyz))
    made[24:36] = bytes(12)  # when it was made: two of them are to be the same
    return bytes(made).replace("sRGB".encode("utf-16-be"), "WIDE".encode("utf-16-be"))


def in_srgb(colour: tuple[int, int, int], primaries: Matrix) -> tuple[int, ...]:
    """Return the colour in sRGB, worked out by hand: to light, to XYZ, and back."""
    light = [_to_light(value / 255) for value in colour]
    xyz = [sum(light[k] * primaries[k][axis] for k in range(3)) for axis in range(3)]
    back = _solved(SRGB, xyz)
    return tuple(round(255 * _from_light(min(1.0, max(0.0, part)))) for part in back)


def _to_light(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _from_light(value: float) -> float:
    return value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def _solved(columns: Matrix, wanted: list[float]) -> list[float]:
    """Solve three equations by Cramer's rule."""
    whole = _determinant(columns)
    return [
        _determinant(tuple(tuple(wanted) if k == at else columns[k] for k in range(3))) / whole  # type: ignore[arg-type]
        for at in range(3)
    ]


def _determinant(m: Matrix) -> float:
    (a, b, c), (d, e, f), (g, h, i) = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def make(data: bytes, filters: Any = (), **variant: Any) -> Image.Image:
    chosen = {"width": 40, "format": "png", **variant}
    wanted = {"s": {"filters": list(filters), "variants": {"v": chosen}}}
    return opened(image.make(data, wanted, Limits())["s"].variants["v"].data)


@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE], ids=["P3", "Adobe"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("colour", [(200, 100, 50), (60, 140, 90), (90, 90, 200)])
def test_wide_colours_become_those_of_srgb(
    primaries: Matrix, kind: str, colour: tuple[int, int, int]
) -> None:
    flat = Image.new("RGB", (80, 60), colour)
    data = encoded(flat, kind, icc_profile=profile(primaries), quality=100)
    seen = make(data).getpixel((20, 15))
    assert isinstance(seen, tuple)
    assert near(tuple(int(value) for value in seen), in_srgb(colour, primaries), 4)


def curved(curve: bytes) -> bytes:
    """Return sRGB's profile, under its own name, with another curve for all three colours."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = len(made)
    made += curve
    for index in range(struct.unpack_from(">I", made, 128)[0]):
        tag = 132 + 12 * index
        if made[tag : tag + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">2I", made, tag + 4, at, len(curve))
    struct.pack_into(">I", made, 0, len(made))
    return bytes(made)


def table(points: int) -> bytes:
    """Return sRGB's curve as a table."""
    light = [round(65_535 * _to_light(at / (points - 1))) for at in range(points)]
    return struct.pack(f">4s4xI{points}H", b"curv", points, *light) + bytes(points % 2 * 2)


LINEAR = struct.pack(">4s4xI", b"curv", 0)
GAMMA_1_8 = struct.pack(">4s4xIH2x", b"curv", 1, round(1.8 * 256))


@pytest.mark.parametrize(("curve", "wanted"), [(LINEAR, 128), (GAMMA_1_8, 71)], ids=["g10", "g18"])
def test_a_profile_is_known_by_what_it_does_and_not_by_its_name(curve: bytes, wanted: int) -> None:
    data = encoded(Image.new("RGB", (80, 60), (55, 55, 55)), "PNG", icc_profile=curved(curve))
    seen = make(data).getpixel((20, 15))
    assert near(seen, (wanted,) * 3, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("curve", [table(1024), table(4096)])
def test_what_does_the_same_as_srgb_is_left_alone(curve: bytes) -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert is_srgb(own)
    assert is_srgb(curved(curve))
    for other in (curved(LINEAR), curved(GAMMA_1_8), profile(DISPLAY_P3), profile(ADOBE)):
        assert not is_srgb(other)


def _by_exif(space: int, index: str) -> bytes:
    """Return a JPEG whose camera says which colours it is in, as DCF wants it, without a profile."""
    notes = Image.Exif()
    notes[0x8769] = {0xA001: space, 0xA005: {1: index}}
    flat = Image.new("RGB", (80, 60), (60, 140, 90))
    return encoded(flat, "JPEG", exif=notes.tobytes(), quality=100)


def test_adobe_rgb_that_only_exif_tells_of_is_converted() -> None:
    told = make(_by_exif(65_535, "R03")).getpixel((20, 15))
    plain = make(_by_exif(1, "R98")).getpixel((20, 15))
    unsure = make(_by_exif(65_535, "R98")).getpixel((20, 15))
    assert near(plain, (60, 140, 90), 2)  # type: ignore[arg-type]
    assert near(unsure, (60, 140, 90), 2)  # type: ignore[arg-type]
    assert near(told, in_srgb((60, 140, 90), ADOBE), 4)  # type: ignore[arg-type]


def grey_profile(curve: bytes) -> bytes:
    """Return a profile of grey, of a curve and nothing else (ICC.1:2022, 8.3.4)."""
    white = struct.pack(">4s4x3i", b"XYZ ", *(round(part * 65_536) for part in (0.9642, 1, 0.8249)))
    tags = {b"wtpt": white, b"kTRC": curve + bytes(-len(curve) % 4)}
    directory, bodies = struct.pack(">I", len(tags)), b""
    for tag, body in tags.items():
        at = 132 + 12 * len(tags) + len(bodies)
        directory += struct.pack(">4sII", tag, at, len(body))
        bodies += body
    head = struct.pack(">I4xI", 128 + len(directory + bodies), 0x02100000)
    head += b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + white[8:] + bytes(48)
    return head + directory + bodies


DOT_GAIN = struct.pack(
    ">4s4xI256H", b"curv", 256, *(round(65_535 * (at / 255) ** 1.75) for at in range(256))
)
GREY_CURVES = pytest.mark.parametrize(
    "curve", [LINEAR, GAMMA_1_8, DOT_GAIN], ids=["linear", "gamma", "dot gain"]
)


def grey_reference(level: int, icc: bytes) -> int:
    """Return a level of grey in sRGB, as the library for colours has it."""
    read, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    to_srgb = ImageCms.buildTransform(read, srgb, "L", "RGB")
    made = ImageCms.applyTransform(Image.new("L", (1, 1), level), to_srgb)
    assert made is not None
    return made.getpixel((0, 0))[0]  # type: ignore[index,return-value]


@GREY_CURVES
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "I;16"),
        ("TIFF", "L"),
        ("TIFF", "LA"),
        ("TIFF", "I;16"),
        ("JPEG", "L"),
    ],
)
def test_grey_is_converted_from_its_profile(curve: bytes, kind: str, mode: str) -> None:
    icc = grey_profile(curve)
    grey = Image.new(mode, (80, 60), {"L": 90, "LA": (90, 128), "I;16": 90 * 257}[mode])
    made = make(encoded(grey, kind, icc_profile=icc))
    assert made.mode == ("LA" if mode == "LA" else "L")
    seen = made.convert("LA").getpixel((20, 15))
    assert near(seen, (grey_reference(90, icc), 128 if mode == "LA" else 255), 1)  # type: ignore[arg-type]


@GREY_CURVES
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif", "gif"])
@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_looks_the_same_whether_a_format_can_keep_its_profile_or_not(
    curve: bytes, kind: str, mode: str
) -> None:
    icc = grey_profile(curve)
    grey = Image.new("L", (80, 60), 90).convert(mode)
    data = encoded(grey, "PNG", icc_profile=icc)
    made = make(data, profile="keep", format=kind, quality=95)
    assert ("icc_profile" in made.info) is (kind in ("png", "jpeg"))
    seen = made.convert("L").getpixel((20, 15))
    assert isinstance(seen, int)
    shown = grey_reference(seen, icc) if "icc_profile" in made.info else seen
    assert abs(shown - grey_reference(90, icc)) <= 2


def test_grey_that_a_filter_colours_keeps_no_profile_of_grey() -> None:
    data = encoded(Image.new("L", (80, 60), 90), "PNG", icc_profile=grey_profile(LINEAR))
    made = make(data, [{"sepia": None}], profile="keep")
    assert "icc_profile" not in made.info
    assert made.getpixel((20, 15)) == make(data, [{"sepia": None}]).getpixel((20, 15))


def test_a_profile_of_rgb_is_meant_for_grey_as_well() -> None:
    grey = Image.new("L", (80, 60), 55)
    made = make(encoded(grey, "PNG", icc_profile=curved(LINEAR)))
    assert made.mode == "L"
    assert near((made.getpixel((20, 15)),), (128,), 1)  # type: ignore[arg-type]


def test_a_gif_has_no_profile_to_keep_and_is_converted() -> None:
    flat = Image.new("RGB", (80, 60), (60, 140, 90))
    made = make(encoded(flat, "PNG", icc_profile=profile(ADOBE)), profile="keep", format="gif")
    seen = made.convert("RGB").getpixel((20, 15))
    assert near(seen, in_srgb((60, 140, 90), ADOBE), 4)  # type: ignore[arg-type]


def _jpeg_2000(im: Image.Image, icc: bytes) -> bytes:
    """Return a JPEG 2000 with a profile, which Pillow can't write."""
    data = encoded(im, "JPEG2000")
    at = data.index(b"colr") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    colours = struct.pack(">I4sB2x", 11 + len(icc), b"colr", 2) + icc
    header = data.index(b"jp2h") - 4
    whole = int.from_bytes(data[header : header + 4], "big") + len(colours) - length
    made = data[:header] + struct.pack(">I", whole) + data[header + 4 : at]
    return made + colours + data[at + length :]


def test_a_jpeg_2000_is_converted_from_its_profile() -> None:
    data = _jpeg_2000(Image.new("RGB", (80, 60), (60, 140, 90)), profile(ADOBE))
    assert near(make(data).getpixel((20, 15)), in_srgb((60, 140, 90), ADOBE), 2)  # type: ignore[arg-type]
    kept = make(data, profile="keep")
    assert kept.info["icc_profile"] == profile(ADOBE)
    assert near(kept.getpixel((20, 15)), (60, 140, 90), 1)  # type: ignore[arg-type]
    grey = _jpeg_2000(Image.new("L", (80, 60), 55), grey_profile(LINEAR))
    assert near((make(grey).getpixel((20, 15)),), (128,), 1)  # type: ignore[arg-type]


def _clear_png(depth: int, kind: int, clear: tuple[int, ...], other: tuple[int, ...]) -> bytes:
    """Return a PNG whose left half is in the colour that it calls clear, and the right one in another."""
    pixels = (*clear * 40, *other * 40)
    code = {8: "B", 16: "H"}.get(depth)
    row = (
        struct.pack(f">{len(pixels)}{code}", *pixels)
        if code
        else int("".join(f"{part:0{depth}b}" for part in pixels), 2).to_bytes(
            80 * depth // 8, "big"
        )
    )
    return png_files.joined(
        [
            png_files.header((80, 60), depth, kind),
            png_files.chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)),
            png_files.chunk(b"IDAT", zlib.compress((b"\0" + row) * 60)),
            png_files.chunk(b"IEND"),
        ]
    )


@pytest.mark.parametrize(
    ("depth", "kind", "clear", "other"),
    [
        (1, 0, (1,), (0,)),
        (2, 0, (2,), (1,)),
        (4, 0, (5,), (12,)),
        (8, 0, (85,), (200,)),
        (16, 0, (1000,), (1001,)),
        (16, 0, (1000,), (1256,)),
        (8, 2, (1, 2, 3), (9, 9, 9)),
        (16, 2, (1000, 2000, 3000), (40_000, 2, 3)),
    ],
)
def test_the_colour_that_a_png_calls_clear_is_clear_at_every_depth(
    depth: int, kind: int, clear: tuple[int, ...], other: tuple[int, ...]
) -> None:
    alpha = make(_clear_png(depth, kind, clear, other), width=80).convert("RGBA").getchannel("A")
    assert (alpha.getpixel((10, 10)), alpha.getpixel((70, 10))) == (0, 255)


def test_adobe_rgb_by_exif_is_kept_with_a_profile_that_says_so() -> None:
    kept = make(_by_exif(65_535, "R03"), profile="keep", format="jpeg", quality=95)
    read = ImageCms.ImageCmsProfile(io.BytesIO(kept.info["icc_profile"]))
    assert "Adobe RGB" in ImageCms.getProfileDescription(read)
    assert near(kept.getpixel((20, 15)), (60, 140, 90), 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 20, 131, 150, 300])
def test_half_a_profile_is_not_taken_for_srgb(length: int) -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert not is_srgb(own[:length])


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif"])
def test_a_profile_is_kept_where_asked_with_the_colours_that_it_describes(kind: str) -> None:
    flat = Image.new("RGB", (80, 60), (200, 100, 50))
    data = encoded(flat, "PNG", icc_profile=profile(DISPLAY_P3))
    made = make(data, profile="keep", format=kind, quality=95)
    assert made.info["icc_profile"] == profile(DISPLAY_P3)
    seen = made.convert("RGB").getpixel((20, 15))
    assert near(tuple(seen), (200, 100, 50), 4)  # type: ignore[arg-type]


def test_a_kept_and_a_converted_variant_come_from_one_file() -> None:
    flat = Image.new("RGB", (80, 60), (200, 100, 50))
    data = encoded(flat, "PNG", icc_profile=profile(DISPLAY_P3))
    variants = {
        "kept": {"width": 40, "format": "png", "profile": "keep"},
        "plain": {"width": 40, "format": "png"},
    }
    made = image.make(data, {"s": {"variants": variants}}, Limits())["s"].variants
    kept, plain = opened(made["kept"].data), opened(made["plain"].data)
    assert kept.getpixel((5, 5)) == (200, 100, 50)
    assert near(plain.getpixel((5, 5)), in_srgb((200, 100, 50), DISPLAY_P3), 2)  # type: ignore[arg-type]
    assert "icc_profile" not in plain.info


def test_a_profile_that_does_not_fit_the_pixels_is_not_kept() -> None:
    grey = corners().convert("L")
    assert (
        "icc_profile"
        not in make(encoded(grey, "PNG", icc_profile=profile(ADOBE)), profile="keep").info
    )
    for broken in (b"nothing", profile(ADOBE)[:20]):
        data = encoded(corners(), "PNG", icc_profile=broken)
        assert "icc_profile" not in make(data, profile="keep").info


def test_cmyk_is_converted_even_if_its_profile_should_be_kept() -> None:
    made = make(encoded(corners().convert("CMYK")), profile="keep", format="jpeg")
    assert made.mode == "RGB"
    assert is_upright(made, 45)


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", "L"), ("LA", "LA"), ("1", "L"), ("I;16", "L")]
)
def test_grey_stays_grey(mode: str, expected: str) -> None:
    grey = corners().convert("L")
    if mode == "I;16":
        source = Image.new("I;16", grey.size)
        source.paste(30_000, (0, 0, 200, 300))
    else:
        source = grey.convert(mode)
    if mode == "LA":
        source.putalpha(Image.linear_gradient("L").resize(source.size))
    assert make(encoded(source, "PNG")).mode == expected
    assert make(encoded(source, "PNG"), format="jpeg").mode == "L"


def test_a_filter_that_brings_no_colour_keeps_grey_grey() -> None:
    data = encoded(corners().convert("L"), "PNG")
    assert make(data, [{"sharpen": 1.5}, {"autocontrast": None}], format="jpeg").mode == "L"
    assert make(data, [{"sepia": None}], format="jpeg").mode == "RGB"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_jpeg_is_progressive_where_asked(wanted: bool) -> None:
    made = make(encoded(corners()), format="jpeg", progressive=wanted)
    assert bool(made.info.get("progressive")) is wanted


@pytest.mark.parametrize("keeps", ["keep", "srgb"])
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("mode", ["LA", "L"])
def test_grey_with_alpha_that_hides_nothing_stays_grey(mode: str, kind: str, keeps: str) -> None:
    grey = Image.new("L", (80, 60), 87).convert(mode)
    more = {"transparency": 3} if mode == "L" else {}
    made = make(encoded(grey, "PNG", **more), format=kind, profile=keeps)
    assert made.mode == ("RGB" if kind == "webp" else "L")  # WebP knows no grey
    assert near(made.convert("RGB").getpixel((30, 5)), (87, 87, 87), 2)  # type: ignore[arg-type]
