"""Where a variant's pixels come from and how large it gets. Pure arithmetic on upright sizes.

    inside    the whole picture, as large as fits in width x height; either may be left out
    cover     width x height are filled; what stands over is cut off
    contain   like inside, on a canvas of exactly width x height
    fill      exactly width x height; the picture is stretched

What `cover` keeps and where `contain` lays the picture is one point of the picture, in shares of
its width and height: the centre, an edge or corner (`gravity`), or a place of one's own (`focal`).
Nothing is enlarged unless asked: a picture that is too small for `cover` keeps the asked proportions
at the size that it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Fit = Literal["inside", "cover", "contain", "fill"]
Size = tuple[int, int]
Box = tuple[float, float, float, float]
Point = tuple[float, float]
MAX_SIDE = {"jpeg": 65_500, "webp": 16_383, "png": 65_500, "avif": 65_500, "gif": 65_500}
"""The longest side that an encoder takes."""
ATTENTION = "attention"
BACKGROUND = "#ffffff"
CLEAR = "clear"
"""The background that is none: what is around or under the picture stays transparent."""
CENTRE: Point = (0.5, 0.5)
GRAVITIES: Mapping[str, Point] = {
    "centre": CENTRE,
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
    "top-left": (0.0, 0.0),
    "top-right": (1.0, 0.0),
    "bottom-left": (0.0, 1.0),
    "bottom-right": (1.0, 1.0),
}
"""Where each gravity lies; `attention` lies where the picture has most detail, see `attention`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant's settings, as in pipeline.yaml, with every default filled in."""

    name: str
    width: int | None = None
    height: int | None = None
    fit: Fit = "inside"
    format: str = "jpeg"
    quality: int = 80
    background: str = BACKGROUND
    enlarge: bool = False
    gravity: str = "centre"
    focal: Point | None = None
    progressive: bool = False
    animated: bool = True
    profile: Literal["srgb", "keep"] = "srgb"
    exif: bytes = b""  # what is kept of the original's: not a setting

    @property
    def focus(self) -> Point:
        """The point of the picture that matters, as far as settings tell."""
        return self.focal or GRAVITIES.get(self.gravity, CENTRE)

    @property
    def clear(self) -> bool:
        """Whether what is around the picture is to be transparent, and can be."""
        return self.background == CLEAR and self.format != "jpeg"

    @property
    def backdrop(self) -> str:
        """The colour that shows through where a format has no alpha."""
        return BACKGROUND if self.background == CLEAR else self.background

    @property
    def looks(self) -> bool:
        """Whether only the picture tells which point matters."""
        return self.focal is None and self.gravity == ATTENTION and self.fit == "cover"

    def within(self, margin: int) -> Variant:
        """Return the variant that leaves `margin` pixels on each side for a border.

        Raises ValueError if that leaves nothing for the picture.
        """
        if not margin:
            return self
        if any(side and side <= 2 * margin for side in (self.width, self.height)):
            raise ValueError(f"a border of {margin} pixels leaves nothing of `{self.name}`")
        width, height = (side and side - 2 * margin for side in (self.width, self.height))
        return replace(self, width=width, height=height)

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any], exif: bytes = b"") -> Variant:
        given = {field: settings.get(field) for field in cls.__slots__ if field != "name"}
        given["exif"] = exif
        return cls(
            name=name, **{field: value for field, value in given.items() if value is not None}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A variant of one picture:

    `crop` of the upright original becomes `size`, on a `canvas` if there is one, where `focus`
    says.
    """

    crop: Box
    size: Size
    canvas: Size | None = None
    focus: Point = CENTRE

    def whole(self, original: Size) -> bool:
        """Whether nothing is cut off."""
        return self.crop == (0, 0, original[0], original[1])

    def scale(self) -> float:
        """Return how many pixels of the result one pixel of the original makes, along the larger
        side.
        """
        left, top, right, bottom = self.crop
        return max(self.size[0] / (right - left), self.size[1] / (bottom - top))


def place(variant: Variant, original: Size, focus: Point | None = None) -> Placement:
    """Place `variant` on a picture of the upright size `original`.

    `focus` is the point that matters, where it isn't the settings' own.
    """
    whole: Box = (0, 0, original[0], original[1])
    limit = MAX_SIDE.get(variant.format, 65_500)
    asked = (variant.width, variant.height)
    largest = math.inf if variant.enlarge and asked != (None, None) else 1.0
    point = focus or variant.focus
    if None in asked or variant.fit == "inside":
        return Placement(crop=whole, size=_inside(original, asked, limit, largest))
    box = (min(variant.width or limit, limit), min(variant.height or limit, limit))
    if variant.fit == "contain":
        size = _inside(original, box, limit, largest)
        return Placement(crop=whole, size=size, canvas=box, focus=point)
    if variant.fit == "fill":
        size = box if variant.enlarge else (min(original[0], box[0]), min(original[1], box[1]))
        return Placement(crop=whole, size=size)
    return _cover(original, box, point, largest)


def base_scale(placements: Iterable[Placement]) -> float:
    """Return the share of the original from which all `placements` can be made; at most 1."""
    return min(1.0, max((each.scale() for each in placements), default=0.0))


def base_size(placements: Iterable[Placement], original: Size) -> Size:
    """Return the size of the whole picture from which all `placements` can be made without
    enlarging.
    """
    return scaled(original, base_scale(placements))


def _inside(original: Size, box: tuple[int | None, int | None], limit: int, largest: float) -> Size:
    scale = min(
        largest,
        *(min(most or limit, limit) / side for most, side in zip(box, original, strict=True)),
    )
    return scaled(original, scale)


def _cover(original: Size, box: Size, focus: Point, largest: float) -> Placement:
    width, height = original
    scale = max(box[0] / width, box[1] / height)
    if scale > largest and _is_like(original, box):
        return Placement(crop=(0, 0, width, height), size=original)
    crop_width, crop_height = min(width, box[0] / scale), min(height, box[1] / scale)
    left = _start(width, crop_width, focus[0])
    top = _start(height, crop_height, focus[1])
    size = box if scale <= largest else (max(1, round(crop_width)), max(1, round(crop_height)))
    return Placement(crop=(left, top, left + crop_width, top + crop_height), size=size)


def _is_like(size: Size, box: Size) -> bool:
    """Say whether a size has the box's proportions, as well as whole pixels can."""
    width, height = size
    return width == round(height * box[0] / box[1]) or height == round(width * box[1] / box[0])


def _start(whole: float, part: float, focus: float) -> float:
    """Return where a part begins that has `focus` in its middle and doesn't stand out."""
    return min(max(0.0, whole * focus - part / 2), whole - part)


def scaled(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
