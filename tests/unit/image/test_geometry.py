"""How large a variant gets, and from which part of the picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.runtime.image.geometry import Fit, Variant, base_size, place

SIDES = st.integers(1, 20_000)


def variant(width: int | None, height: int | None = None, fit: Fit = "inside") -> Variant:
    return Variant(name="v", width=width, height=height, fit=fit)


@pytest.mark.parametrize(
    ("wanted", "original", "size", "crop"),
    [
        (variant(1600), (4000, 3000), (1600, 1200), (0, 0, 4000, 3000)),
        (variant(None, 300), (4000, 3000), (400, 300), (0, 0, 4000, 3000)),
        (variant(200, 200), (4000, 3000), (200, 150), (0, 0, 4000, 3000)),
        (variant(1600), (800, 600), (800, 600), (0, 0, 800, 600)),
        (variant(200, 200, "cover"), (4000, 3000), (200, 200), (500, 0, 3500, 3000)),
        (variant(200, 100, "cover"), (3000, 4000), (200, 100), (0, 1250, 3000, 2750)),
        (variant(200, 200, "cover"), (100, 300), (100, 100), (0, 100, 100, 200)),
        (variant(200, None, "cover"), (4000, 3000), (200, 150), (0, 0, 4000, 3000)),
        (variant(200, 200, "fill"), (4000, 3000), (200, 200), (0, 0, 4000, 3000)),
        (variant(200, 200, "fill"), (100, 3000), (100, 200), (0, 0, 100, 3000)),
    ],
)
def test_variants_are_placed(
    wanted: Variant,
    original: tuple[int, int],
    size: tuple[int, int],
    crop: tuple[float, float, float, float],
) -> None:
    placed = place(wanted, original)
    assert (placed.size, placed.crop, placed.canvas) == (size, crop, None)


def test_contain_keeps_the_asked_canvas() -> None:
    placed = place(variant(200, 200, "contain"), (4000, 3000))
    assert (placed.size, placed.canvas) == ((200, 150), (200, 200))


def test_a_strip_stays_within_what_the_encoder_takes() -> None:
    placed = place(Variant(name="v", width=100, format="webp"), (100, 100_000))
    assert placed.size[1] <= 16_383


FITS = st.sampled_from(["inside", "cover", "contain", "fill"])


@given(st.none() | SIDES, st.none() | SIDES, FITS, SIDES, SIDES)
def test_nothing_is_ever_enlarged_and_nothing_vanishes(
    width: int | None, height: int | None, fit: Fit, across: int, down: int
) -> None:
    placed = place(variant(width, height, fit), (across, down))
    left, top, right, bottom = placed.crop
    assert 0 <= left < right <= across + 1e-6
    assert 0 <= top < bottom <= down + 1e-6
    assert 1 <= placed.size[0] <= max(1, round(right - left + 0.5))
    assert 1 <= placed.size[1] <= max(1, round(bottom - top + 0.5))
    if width and height:
        assert placed.size[0] <= width
        assert placed.size[1] <= height


@given(st.lists(st.tuples(SIDES, SIDES, FITS), min_size=1, max_size=4), SIDES, SIDES)
def test_every_variant_can_be_made_from_the_base(
    asked: list[tuple[int, int, Fit]], across: int, down: int
) -> None:
    placed = [place(variant(*each), (across, down)) for each in asked]
    width, height = base_size(placed, (across, down))
    assert width <= across
    assert height <= down
    for each in placed:
        left, top, right, bottom = each.crop
        assert (right - left) * width / across >= each.size[0] - 1
        assert (bottom - top) * height / down >= each.size[1] - 1
