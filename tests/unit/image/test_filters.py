"""Each filter does what its name says, to every pixel, and nothing when told so."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageEnhance, ImageStat

from imgpipe.runtime.image.filters import FILTERS, apply, chain, register
from tests.pictures import RED, colours_of, corners, near

NEUTRAL: dict[str, Any] = {
    "sharpen": 1,
    "saturation": 1,
    "brightness": 1,
    "contrast": 1,
    "gamma": 1,
    "greyscale": 0,
    "sepia": 0,
    "blur": 0,
    "tint": "#ffffff",
}


def applied(name: str, value: Any = None, im: Image.Image | None = None) -> Image.Image:
    return apply(im or corners(), [{name: value}])


def brightness(im: Image.Image) -> float:
    return ImageStat.Stat(im.convert("L")).mean[0]


def test_the_known_filters_are_these() -> None:
    assert set(FILTERS) >= {*NEUTRAL, "autocontrast"}


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_value_changes_nothing(name: str) -> None:
    difference = ImageChops.difference(applied(name, NEUTRAL[name]), corners())
    assert max(high for _, high in difference.getextrema()) <= 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ["autocontrast", *NEUTRAL])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_filter_has_a_default_and_takes_every_mode(name: str, mode: str) -> None:
    source = corners().convert(mode)
    for value in (None, True):
        made = apply(source, [{name: value}])
        assert made.size == source.size
        grey = mode == "L" and name not in ("tint", "sepia")
        assert made.mode == ("L" if grey else mode if mode == "RGBA" else "RGB")


@pytest.mark.parametrize(("name", "value"), [("brightness", 1.3), ("gamma", 1.5)])
def test_what_brightens_brightens(name: str, value: float) -> None:
    assert brightness(applied(name, value)) > brightness(corners())
    assert brightness(applied(name, 1 / value)) < brightness(corners())


def test_gamma_leaves_black_and_white() -> None:
    for level in (0, 255):
        flat = Image.new("RGB", (4, 4), (level,) * 3)
        assert applied("gamma", 2.2, flat).getpixel((0, 0)) == (level,) * 3


def test_autocontrast_uses_the_whole_range() -> None:
    dull = Image.linear_gradient("L").point(lambda value: 100 + value // 8).convert("RGB")
    low, high = applied("autocontrast", 0, dull).convert("L").getextrema()
    assert (low, high) == (0, 255)


def test_autocontrast_ignores_the_percentage_of_the_picture_itself_not_of_a_blurred_copy() -> None:
    grain = Image.effect_noise((900, 700), 40)
    counts = grain.histogram()
    low = next(level for level in range(256) if sum(counts[: level + 1]) > 0.02 * 900 * 700)
    high = next(level for level in range(256) if sum(counts[level:]) <= 0.02 * 900 * 700) - 1
    made = applied("autocontrast", 2, Image.merge("RGB", [grain] * 3)).getchannel("R")
    stretched = sorted(set(zip(grain.tobytes(), made.tobytes(), strict=True)))
    darkest = max(level for level, became in stretched if became == 0)
    brightest = min(level for level, became in stretched if became == 255)
    assert (darkest, brightest) == pytest.approx((low, high), abs=2)


def test_contrast_spreads_and_blur_smooths() -> None:
    spread = ImageStat.Stat(corners().convert("L")).stddev[0]
    assert ImageStat.Stat(applied("contrast", 1.5).convert("L")).stddev[0] > spread
    assert ImageStat.Stat(applied("blur", 60).convert("L")).stddev[0] < spread


@pytest.mark.parametrize(("name", "value"), [("greyscale", None), ("saturation", 0)])
def test_grey_is_grey(name: str, value: Any) -> None:
    for red, green, blue in colours_of(applied(name, value)):
        assert max(red, green, blue) - min(red, green, blue) <= 1


@pytest.mark.parametrize("value", [0, 0.5, 1.2, 1.8, 3])
def test_sharpening_is_pillows_on_brightness_and_shifts_no_colour(value: float) -> None:
    noise = Image.effect_noise((120, 90), 12)
    source = Image.merge("RGB", [noise.point(lambda v, by=by: v + by) for by in (-30, 0, 20)])  # type: ignore[misc]
    made = applied("sharpen", value, source)
    light = ImageEnhance.Sharpness(source.convert("L")).enhance(value)
    apart = ImageChops.difference(made.convert("L"), light).crop((2, 2, 118, 88))
    assert ImageStat.Stat(apart).mean[0] < 2
    for before, after in zip(source.split(), made.split(), strict=True):
        assert ImageStat.Stat(after).mean[0] == pytest.approx(ImageStat.Stat(before).mean[0], abs=1)


def grained() -> Image.Image:
    """Return a picture with fine detail in each quarter's colour, none near black or white."""
    grain = Image.frombytes("L", (300, 200), Random(1).randbytes(60_000))
    grain = grain.point(lambda v: 108 + v * 40 // 255).convert("RGB")  # type: ignore[operator]
    return ImageChops.add(corners(300, 200).point(lambda v: 96 + v // 4), grain, 1, -128)  # type: ignore[misc]


@pytest.mark.parametrize("values", [(1.2, 1.2), (1.1, 1.15), (1.3, 1.4), (1.8, 1.1), (1.8, 1.8)])
def test_saturation_and_sharpening_are_done_in_one_as_they_are_in_turn(
    values: tuple[float, float],
) -> None:
    source = grained()
    wanted = [{"saturation": values[0]}, {"sharpen": values[1]}]
    assert len(chain(wanted).tones) == 1
    made, expected = apply(source, wanted), source
    for each in wanted:
        expected = apply(expected, [each])
    assert expected.tobytes() != apply(source, wanted[:1]).tobytes()
    for one, other in zip(made.split(), expected.split(), strict=True):
        assert max(ImageChops.difference(one, other).getextrema()) <= 3  # type: ignore[type-var]
        assert ImageStat.Stat(one).mean[0] == pytest.approx(ImageStat.Stat(other).mean[0], abs=0.4)


@pytest.mark.parametrize(
    "values", [(0.5, 1.2), (1.2, 0.5), (1.2, 2), (1, 1.2), (1.2, 1), (1.8, 2), (4, 3)]
)
def test_what_cannot_be_done_in_one_is_done_in_turn(values: tuple[float, float]) -> None:
    wanted = [{"saturation": values[0]}, {"sharpen": values[1]}]
    in_turn = apply(apply(grained(), wanted[:1]), wanted[1:])
    assert apply(grained(), wanted).tobytes() == in_turn.tobytes()


def test_filters_that_do_not_follow_one_another_are_each_done() -> None:
    wanted: list[dict[str, Any]] = [{"saturation": 1.2}, {"tint": "#ffdc96"}, {"sharpen": 1.2}]
    assert [each.name for each, _ in chain(wanted).tones] == ["saturation", "tint", "sharpen"]


def test_a_filter_of_the_projects_own_is_done_by_itself_whatever_it_is_called(
    tmp_path: Path,
) -> None:
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "saturation.py").write_text(
        "def saturation(im, value):\n    return im\n"
    )
    tones = chain([{"saturation": 1.2}, {"sharpen": 1.2}], tmp_path).tones
    assert [(each.name, each.own) for each, _ in tones] == [
        ("saturation", True),
        ("sharpen", False),
    ]


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2), (3, 3)])
def test_the_smallest_pictures_are_sharpened_too(size: tuple[int, int]) -> None:
    source = corners().resize(size)
    for wanted in ([{"sharpen": 1.2}], [{"saturation": 1.2}, {"sharpen": 1.2}]):
        assert apply(source, wanted).size == size


@pytest.mark.parametrize("wanted", [[{"sharpen": 1.2}], [{"saturation": 1.2}, {"sharpen": 1.2}]])
@pytest.mark.parametrize("level", [0, 1, 100, 254, 255])
def test_what_is_flat_stays_as_it_is(wanted: list[dict[str, Any]], level: int) -> None:
    flat = Image.new("RGB", (40, 30), (level,) * 3)
    assert apply(flat, wanted).tobytes() == flat.tobytes()


def test_sharpening_makes_edges_steeper() -> None:
    soft = corners().resize((40, 30)).resize((400, 300), Image.Resampling.BILINEAR)
    spread = ImageStat.Stat(soft.convert("L")).stddev[0]
    assert ImageStat.Stat(applied("sharpen", 4, soft).convert("L")).stddev[0] > spread


def test_sepia_is_warm() -> None:
    for red, green, blue in colours_of(applied("sepia")):
        assert red >= green >= blue


def test_tint_multiplies() -> None:
    white = Image.new("RGB", (4, 4), "white")
    assert applied("tint", "#c83c32", white).getpixel((0, 0)) == (0xC8, 0x3C, 0x32)


def test_filters_are_applied_in_order() -> None:
    one = apply(corners(), [{"greyscale": None}, {"tint": "#ff0000"}])
    other = apply(corners(), [{"tint": "#ff0000"}, {"greyscale": None}])
    assert colours_of(one) != colours_of(other)


def test_no_filters_give_the_very_picture() -> None:
    source = corners()
    assert apply(source, []) is source


def test_a_filter_of_ones_own_is_one_function() -> None:
    @register("inverted")
    def inverted(im: Image.Image, value: Any) -> Image.Image:
        return ImageChops.invert(im)

    try:
        expected = tuple(255 - channel for channel in RED)
        assert near(colours_of(applied("inverted"))[0], expected, 0)
    finally:
        del FILTERS["inverted"]


def test_blur_takes_alpha_along_and_clear_pixels_lend_no_colour() -> None:
    disc = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    disc.paste((255, 0, 0, 255), (20, 20, 40, 40))
    made = apply(disc, [{"blur": 6}])
    red, green, blue, alpha = made.getpixel((20, 30))  # type: ignore[misc]
    assert (green, blue) == (0, 0)
    assert red >= 250
    assert 80 < alpha < 180


def test_alpha_stays_as_it_was_where_no_pixel_moves() -> None:
    source = corners().convert("RGBA")
    source.putalpha(Image.linear_gradient("L").resize(source.size))
    made = apply(source, [{"blur": 0}, {"sepia": 1}])
    assert made.getchannel("A").tobytes() == source.getchannel("A").tobytes()
