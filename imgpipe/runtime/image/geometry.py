"""Where a variant's pixels come from and how large it gets. Pure arithmetic on upright sizes;
nothing is enlarged.

    inside    the whole picture, as large as fits in width x height; either may be left out
    cover     width x height are filled; what stands over is cut off, equally on both sides
    contain   like inside, in the middle of a canvas of exactly width x height
    fill      exactly width x height; the picture is stretched

A picture that is too small for `cover` keeps the asked proportions at the size that it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Fit = Literal["inside", "cover", "contain", "fill"]
Size = tuple[int, int]
Box = tuple[float, float, float, float]
MAX_SIDE = {"jpeg": 65_500, "webp": 16_383, "png": 65_500}
"""The longest side that an encoder takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant's settings, as in pipeline.yaml, with every default filled in."""

    name: str
    width: int | None = None
    height: int | None = None
    fit: Fit = "inside"
    format: str = "jpeg"
    quality: int = 80
    background: str = "#ffffff"
    exif: bytes = b""  # what is kept of the original's: not a setting

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

    `crop` of the upright original becomes `size`, on a `canvas` if there is one.
    """

    crop: Box
    size: Size
    canvas: Size | None = None

    def whole(self, original: Size) -> bool:
        """Whether nothing is cut off."""
        return self.crop == (0, 0, original[0], original[1])

    def scale(self) -> float:
        """Return how many pixels of the result one pixel of the original makes, along the larger
        side.
        """
        left, top, right, bottom = self.crop
        return max(self.size[0] / (right - left), self.size[1] / (bottom - top))


def place(variant: Variant, original: Size) -> Placement:
    """Place `variant` on a picture of the upright size `original`."""
    width, height = original
    whole: Box = (0, 0, width, height)
    limit = MAX_SIDE.get(variant.format, 65_500)
    asked = (variant.width, variant.height)
    if None in asked or variant.fit == "inside":
        return Placement(crop=whole, size=_inside(original, asked, limit))
    box = (min(variant.width or limit, limit), min(variant.height or limit, limit))
    if variant.fit == "contain":
        return Placement(crop=whole, size=_inside(original, box, limit), canvas=box)
    if variant.fit == "fill":
        return Placement(crop=whole, size=(min(width, box[0]), min(height, box[1])))
    return _cover(original, box)


def base_size(placements: list[Placement], original: Size) -> Size:
    """Return the size of the whole picture from which all `placements` can be made without
    enlarging.
    """
    scale = min(1.0, max((each.scale() for each in placements), default=0.0))
    return _scaled(original, scale)


def _inside(original: Size, box: tuple[int | None, int | None], limit: int) -> Size:
    scale = min(
        1.0, *(min(most or limit, limit) / side for most, side in zip(box, original, strict=True))
    )
    return _scaled(original, scale)


def _cover(original: Size, box: Size) -> Placement:
    width, height = original
    scale = max(box[0] / width, box[1] / height)
    crop_width, crop_height = min(width, box[0] / scale), min(height, box[1] / scale)
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    size = box if scale <= 1 else (max(1, round(crop_width)), max(1, round(crop_height)))
    return Placement(crop=(left, top, left + crop_width, top + crop_height), size=size)


def _scaled(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
