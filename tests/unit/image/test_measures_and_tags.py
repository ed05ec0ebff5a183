"""Measures of a picture's look, and the words that are computed from them."""

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFilter

from imgpipe.runtime import image
from imgpipe.runtime.image.facts.measures import phash
from imgpipe.runtime.settings import Limits
from tests.photos import photographs
from tests.pictures import corners, encoded, exif

RAMP = Image.linear_gradient("L")


def told(data: bytes) -> dict[str, Any]:
    return dict(image.make(data, {"facts": {"tags": "basic"}}, Limits())["facts"].facts)


def tags(im: Image.Image, kind: str = "PNG", **options: Any) -> set[str]:
    found = told(encoded(im, kind, **options))["tags"]
    assert all(tag["origin"] == "basic" for tag in found)
    return {tag["name"] for tag in found}


def screen() -> Image.Image:
    """Return something like a window: a bar, a page, a few lines."""
    made = Image.new("RGB", (1200, 800), "#f0f0f0")
    draw = ImageDraw.Draw(made)
    draw.rectangle((0, 0, 1200, 60), fill="#2a4d8f")
    for line in range(120, 760, 60):
        draw.text((80, line), "The quick brown fox", fill="black")
    return made


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((400, 300), {"landscape"}),
        ((300, 400), {"portrait"}),
        ((400, 396), {"square"}),
        ((900, 300), {"landscape", "panorama"}),
    ],
)
def test_the_shape_is_that_of_the_upright_picture(
    size: tuple[int, int], expected: set[str]
) -> None:
    shapes = {"landscape", "portrait", "square", "panorama"}
    assert tags(corners(*size)) & shapes == expected
    turned = tags(corners(*size[::-1]), "JPEG", exif=exif(t274=6))
    assert turned & shapes == expected


@pytest.mark.parametrize(
    ("im", "tag"),
    [
        (Image.new("RGB", (60, 40), "#101010"), "dark"),
        (Image.new("RGB", (60, 40), "#fafafa"), "bright"),
        (RAMP.convert("RGB"), "monochrome"),
        (RAMP, "monochrome"),
        (corners().filter(ImageFilter.GaussianBlur(20)), "blurry"),
        (Image.new("RGBA", (60, 40), (9, 9, 9, 90)), "has-alpha"),
        (screen(), "screenshot-like"),
    ],
)
def test_what_is_seen_is_named(im: Image.Image, tag: str) -> None:
    assert tag in tags(im)
    noise = Image.merge("RGB", [Image.effect_noise((300, 200), 80) for _ in range(3)])
    assert tag not in tags(noise, "JPEG")


def test_an_animation_and_a_document_are_told_apart() -> None:
    frames = [corners(), Image.new("RGB", (400, 300), "white")]
    assert "animated" in tags(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert "multi-page" in tags(frames[0], "TIFF", save_all=True, append_images=frames[1:])


def test_a_camera_is_told_by_its_notes() -> None:
    assert "camera" in tags(corners(), "JPEG", exif=exif(t272="D90"))
    assert "camera" not in tags(corners(), "JPEG")


def test_a_place_is_no_tag() -> None:
    located = exif()
    located.get_ifd(0x8825).update({1: "N", 2: (48, 51, 30), 3: "E", 4: (2, 17, 40)})
    assert tags(corners(), "JPEG", exif=located) == tags(corners(), "JPEG")


def test_brightness_goes_from_black_to_white() -> None:
    levels = [
        told(encoded(Image.new("L", (9, 9), value), "PNG"))["brightness"] for value in (0, 255)
    ]
    assert levels == [0, 1]


@pytest.mark.parametrize("photo", photographs()[:8], ids=lambda path: path.name)
def test_a_photograph_is_sharp_and_its_blurred_copy_is_not(photo: Any) -> None:
    data = photo.read_bytes()
    seen = told(data)
    assert "blurry" not in {tag["name"] for tag in seen["tags"]}
    with Image.open(io.BytesIO(data)) as im:
        im.thumbnail((1200, 1200))
        blurred = im.convert("RGB").filter(ImageFilter.GaussianBlur(12))
    after = told(encoded(blurred))
    assert "blurry" in {tag["name"] for tag in after["tags"]}
    assert after["sharpness"] < seen["sharpness"] / 5


def apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.mark.parametrize("photo", photographs()[:8], ids=lambda path: path.name)
@pytest.mark.parametrize(("side", "quality"), [(1000, 30), (400, 90), (250, 60)])
def test_the_hash_hardly_changes_with_size_and_quality(photo: Any, side: int, quality: int) -> None:
    data = photo.read_bytes()
    with Image.open(io.BytesIO(data)) as im:
        turned = im.getexif().get(0x0112, 1)
        im.thumbnail((side, side))
        again = encoded(im.convert("RGB"), quality=quality, exif=exif(t274=turned))
    assert apart(told(data)["phash"], told(again)["phash"]) <= 6


def test_different_photographs_have_hashes_far_apart() -> None:
    hashes = [told(path.read_bytes())["phash"] for path in photographs()[:6]]
    assert min(apart(a, b) for at, a in enumerate(hashes) for b in hashes[:at]) >= 12


def test_the_hash_is_the_one_that_imagehash_calculates() -> None:
    """The expected text is that of ImageHash 4.3.2 for the same pixels."""
    values = bytes((x * x * 3 + y * 7 + x * y) // 20 % 256 for y in range(32) for x in range(32))
    assert phash(Image.frombytes("L", (32, 32), values)) == "aa55a375a055a36e"


def test_a_plain_picture_has_a_plain_hash() -> None:
    assert {told(encoded(Image.new("L", (99, 70), v), "PNG"))["phash"] for v in (9, 250)} == {
        "8000000000000000"
    }
