"""How large a variant gets, and from which part of the picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.runtime.image.geometry import GRAVITIES, Fit, Variant, base_size, place

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


@pytest.mark.parametrize(
    ("fit", "size", "canvas"),
    [
        ("inside", (600, 450), None),
        ("cover", (600, 600), None),
        ("contain", (600, 450), (600, 600)),
        ("fill", (600, 600), None),
    ],
)
def test_a_small_picture_is_enlarged_where_asked(
    fit: Fit, size: tuple[int, int], canvas: tuple[int, int] | None
) -> None:
    wanted = Variant(name="v", width=600, height=600, fit=fit, enlarge=True)
    placed = place(wanted, (40, 30))
    assert (placed.size, placed.canvas) == (size, canvas)
    assert base_size([placed], (40, 30)) == (40, 30)


@pytest.mark.parametrize(
    ("gravity", "left", "top"),
    [("left", 0, 0), ("centre", 500, 0), ("right", 1000, 0), ("top-right", 1000, 0)],
)
def test_gravity_says_what_is_kept(gravity: str, left: float, top: float) -> None:
    wanted = Variant(name="v", width=200, height=200, fit="cover", gravity=gravity)
    assert place(wanted, (4000, 3000)).crop == (left, top, left + 3000, top + 3000)


def test_a_focal_point_comes_as_near_the_middle_as_the_edges_allow() -> None:
    def lefts(x: float) -> float:
        wanted = Variant(name="v", width=100, height=100, fit="cover", focal=(x, 0.5))
        return place(wanted, (400, 100)).crop[0]

    assert [lefts(x) for x in (0, 0.1, 0.5, 0.6, 1)] == [0, 0, 150, 190, 300]


@pytest.mark.parametrize("gravity", GRAVITIES)
def test_gravity_says_where_contain_lays_the_picture(gravity: str) -> None:
    wanted = Variant(name="v", width=200, height=200, fit="contain", gravity=gravity)
    assert place(wanted, (4000, 3000)).focus == GRAVITIES[gravity]


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
