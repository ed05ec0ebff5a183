"""Laws of the image core, for pictures, sizes and settings of any kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from imgpipe.runtime import image
from imgpipe.runtime.image import resampling
from imgpipe.runtime.image.geometry import Variant, place
from imgpipe.runtime.settings import Limits
from tests.pictures import encoded, exif, opened, turned

SIDES = st.integers(1, 120)
BOXES = st.integers(1, 160)
FITS = st.sampled_from(["inside", "cover", "contain", "fill"])
GRAVITIES = st.sampled_from(["centre", "top-left", "bottom", "right", "attention"])
FORMATS = st.sampled_from(["jpeg", "png", "webp", "gif", "avif"])
few = settings(max_examples=40, deadline=None)


@st.composite
def pictures(draw: st.DrawFn, modes: tuple[str, ...] = ("RGB",)) -> Image.Image:
    """Smooth pictures of a few random colours."""
    mode = draw(st.sampled_from(modes))
    size = draw(st.tuples(SIDES, SIDES))
    count = len(mode) * 12
    small = Image.frombytes(mode, (4, 3), draw(st.binary(min_size=count, max_size=count)))
    return small.resize(size, Image.Resampling.BILINEAR)


def make(im: Image.Image, source: str = "PNG", more: Any = None, **variant: Any) -> Image.Image:
    wanted = {"s": {"variants": {"v": variant}}}
    data = encoded(im, source, **(more or {}))
    return opened(image.make(data, wanted, Limits())["s"].variants["v"].data)


def apart(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference in levels; what can't be seen doesn't count."""
    first, second = (each.convert("RGBA").convert("RGBa") for each in (one, other))
    bands = zip(first.split(), second.split(), strict=True)
    return max(ImageStat.Stat(ImageChops.difference(a, b)).mean[0] for a, b in bands)


@few
@given(pictures(), BOXES, BOXES, FITS, GRAVITIES, FORMATS)
def test_a_variant_fits_its_box_and_never_enlarges(
    im: Image.Image, width: int, height: int, fit: Any, gravity: str, kind: str
) -> None:
    made = make(im, width=width, height=height, fit=fit, gravity=gravity, format=kind)
    assert made.width <= width
    assert made.height <= height
    if fit == "contain":
        assert made.size == (width, height)
    else:
        assert made.width <= im.width
        assert made.height <= im.height


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 3000), st.booleans())
def test_proportions_are_kept_to_one_pixel(w: int, h: int, side: int, enlarge: bool) -> None:
    made = place(Variant(name="v", width=side, height=side, enlarge=enlarge), (w, h)).size
    scale = max(made) / max(w, h)
    assert abs(made[0] - w * scale) <= 1
    assert abs(made[1] - h * scale) <= 1
    assert max(made) == (side if enlarge else min(side, max(w, h)))


@few
@given(pictures(), BOXES, BOXES, st.sampled_from(["cover", "contain", "fill"]))
def test_a_box_is_filled_where_enlarging_is_asked(
    im: Image.Image, width: int, height: int, fit: str
) -> None:
    made = make(im, width=width, height=height, fit=fit, enlarge=True, format="png")
    assert made.size == (width, height)


@few
@given(pictures(), st.integers(1, 8), BOXES, st.sampled_from(["PNG", "TIFF", "WEBP"]))
def test_every_orientation_is_the_same_picture(
    im: Image.Image, orientation: int, width: int, source: str
) -> None:
    more = {"lossless": True} if source == "WEBP" else {}
    upright = make(im, source, more, width=width, format="png")
    told = {**more, "exif": exif(t274=orientation)}
    made = make(turned(im, orientation), source, told, width=width, format="png")
    assert made.size == upright.size
    assert apart(made, upright) <= 1


@few
@given(pictures(("RGB", "RGBA", "L")), BOXES, BOXES, FITS)
def test_what_was_made_is_left_as_it_is(im: Image.Image, width: int, height: int, fit: str) -> None:
    chosen: dict[str, Any] = {"width": width, "height": height, "fit": fit, "format": "png"}
    once = make(im, **chosen)
    twice = make(once, **chosen)
    assert twice.size == once.size
    assert twice.mode == once.mode
    assert twice.tobytes() == once.tobytes()


@few
@given(pictures(("RGBA",)), st.sampled_from(["png", "webp"]))
def test_alpha_comes_through(im: Image.Image, kind: str) -> None:
    made = make(im, width=200, format=kind).convert("RGBA")
    assert ImageChops.difference(made.getchannel("A"), im.getchannel("A")).getbbox() is None
    if kind == "png":
        assert apart(made, im) == 0


@few
@given(pictures(("RGBA",)), BOXES)
def test_clear_pixels_never_colour_the_ones_beside_them(im: Image.Image, width: int) -> None:
    clear = Image.new("RGBA", (120, 40), (0, 255, 0, 0))
    clear.paste((200, 30, 30, 255), (0, 0, 60, 40))
    made = make(clear, width=width, format="png").convert("RGBA")
    for x in range(made.width):
        red, green, _, alpha = made.getpixel((x, made.height // 2))  # type: ignore[misc]
        assert alpha < 40 or green <= 40 < red


@few
@given(pictures(("L",)), BOXES, FORMATS)
def test_grey_stays_grey(im: Image.Image, width: int, kind: str) -> None:
    made = make(im, width=width, format=kind).convert("RGB")
    red, green, blue = made.split()
    for other in (green, blue):
        assert ImageChops.difference(red, other).getextrema()[1] <= 2  # type: ignore[operator]


@few
@given(pictures(("RGB", "RGBA", "L")), BOXES, FORMATS)
def test_the_same_file_and_settings_make_the_same_bytes(
    im: Image.Image, width: int, kind: str
) -> None:
    data = encoded(im, "PNG")
    wanted = {"s": {"variants": {"v": {"width": width, "format": kind}}}}
    one, other = (image.make(data, wanted, Limits())["s"].variants["v"].data for _ in range(2))
    assert one == other


@pytest.mark.skipif(resampling.simd is None, reason="no fast resampler here")
@few
@given(pictures(("L", "RGB", "RGBA")), st.tuples(SIDES, SIDES))
def test_both_resamplers_make_the_same_picture(im: Image.Image, size: tuple[int, int]) -> None:
    fast = resampling.resize(im, size)
    slow = im.resize(size, Image.Resampling.LANCZOS)
    assert fast.mode == slow.mode
    assert apart(fast, slow) <= 1
