"""Pictures as they were when somebody looked at them. Compared by how far eyes would see them apart,
never by bytes: encoders and resamplers may change.

Made anew, after looking, with `python -m tests.unit.image.test_golden`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageDraw, ImageFilter

from imgpipe.runtime import image
from imgpipe.runtime.settings import Limits
from tests.pictures import encoded, is_upright, opened

FOLDER = Path(__file__).parent / "golden"
SIZE = (96, 72)
VISIBLE = 2.3
"""The CIE76 difference that people just notice (Mahy and others, 1994)."""
PLAIN: dict[str, Any] = {"width": 96, "height": 72}
FILTERS: dict[str, Any] = {
    "autocontrast": None,
    "sharpen": 2,
    "saturation": 1.6,
    "brightness": 1.3,
    "contrast": 1.4,
    "gamma": 1.5,
    "greyscale": None,
    "sepia": None,
    "blur": 2,
    "tint": "#c83c32",
    "watermark": {"text": "© Zoë", "size": 20},
    "border": {"width": 5, "colour": "#223344"},
    "rotate": 12,
    "flip": "horizontal",
}
GEOMETRY: dict[str, dict[str, Any]] = {
    "inside": {"width": 48},
    "cover": {"width": 48, "height": 72, "fit": "cover"},
    "attention": {"width": 48, "height": 72, "fit": "cover", "gravity": "attention"},
    "focal": {"width": 48, "height": 72, "fit": "cover", "focal": [0.1, 0.5]},
    "contain": {"width": 72, "height": 72, "fit": "contain", "background": "#335577"},
    "fill": {"width": 72, "height": 72, "fit": "fill"},
}


def scene() -> Image.Image:
    """Return a sky, a hill, a house with windows on the right, and a sun."""
    width, height = 384, 288
    made = Image.linear_gradient("L").resize((width, height))
    made = Image.merge(
        "RGB", (made.point(lambda v: 90 + v // 3), made, Image.new("L", made.size, 220))
    )
    draw = ImageDraw.Draw(made)
    draw.ellipse((30, 20, 90, 80), "#fff2a0")
    draw.ellipse((-120, 190, 420, 480), "#4f8f3a")
    draw.rectangle((250, 120, 350, 230), "#b5473c")
    draw.polygon([(240, 120), (300, 70), (360, 120)], "#5a2a22")
    for x in range(260, 340, 26):
        for y in range(135, 215, 28):
            draw.rectangle((x, y, x + 14, y + 16), "#ffe9b0", "#2a1a14")
    return made


def cases() -> dict[str, dict[str, Any]]:
    made = {name: {"variants": {"v": dict(chosen)}} for name, chosen in GEOMETRY.items()}
    for name, value in FILTERS.items():
        made[f"filter-{name}"] = {"filters": [{name: value}], "variants": {"v": dict(PLAIN)}}
    return made


def result(settings: dict[str, Any]) -> Image.Image:
    settings["variants"]["v"]["format"] = "png"
    data = encoded(scene(), "PNG")
    return opened(image.make(data, {"s": settings}, Limits())["s"].variants["v"].data)


def distance(one: Image.Image, other: Image.Image) -> float:
    """Return the mean CIE76 difference of two pictures, slightly blurred, on grey."""
    first, second = (_lab(each) for each in (one, other))
    pairs = zip(first, second, strict=True)
    return sum(math.dist(a, b) for a, b in pairs) / len(first)


def _lab(im: Image.Image) -> list[tuple[float, float, float]]:
    under = Image.new("RGBA", im.size, "#808080")
    under.alpha_composite(im.convert("RGBA"))
    soft = under.convert("RGB").filter(ImageFilter.GaussianBlur(0.7))
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    made = ImageCms.profileToProfile(soft, srgb, lab, outputMode="LAB")
    assert made is not None
    raw = made.tobytes()
    signed = [value - 256 if value > 127 else value for value in raw]
    return [(raw[at] * 100 / 255, signed[at + 1], signed[at + 2]) for at in range(0, len(raw), 3)]


@pytest.mark.parametrize("name", cases())
def test_it_looks_as_it_did(name: str) -> None:
    made = result(cases()[name])
    golden = opened((FOLDER / f"{name}.png").read_bytes())
    assert made.size == golden.size
    assert distance(made, golden) < VISIBLE


def test_the_distance_tells_pictures_apart() -> None:
    plain = result({"variants": {"v": dict(PLAIN)}})
    for name in FILTERS:
        assert distance(plain, _fitting(opened((FOLDER / f"filter-{name}.png").read_bytes()))) > 0.5
    assert distance(plain, plain.transpose(Image.Transpose.FLIP_TOP_BOTTOM)) > 4 * VISIBLE


def _fitting(im: Image.Image) -> Image.Image:
    return im if im.size == SIZE else im.resize(SIZE)


def test_a_photograph_of_a_phone_is_read() -> None:
    data = (FOLDER / "corners.heic").read_bytes()
    made = image.make(data, {"s": {"variants": {"v": {"width": 64}}}}, Limits())["s"]
    assert made.facts["format"] == "heif"
    assert is_upright(opened(made.variants["v"].data), 30)


if __name__ == "__main__":
    for name, settings in cases().items():
        result(settings).convert("RGBA").quantize(128).save(FOLDER / f"{name}.png", optimize=True)
