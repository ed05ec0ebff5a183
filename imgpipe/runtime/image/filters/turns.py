"""Turns: quarters move pixels and lose nothing; other angles blend them and leave clear corners."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image

from imgpipe.runtime.image.filters.registry import Value, number, register

if TYPE_CHECKING:
    from imgpipe.runtime.image.geometry import Size

_QUARTERS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
_FLIPS = {
    "horizontal": Image.Transpose.FLIP_LEFT_RIGHT,
    "vertical": Image.Transpose.FLIP_TOP_BOTTOM,
}


def _rotated_size(size: Size, value: Value) -> Size:
    angle = number(value, 90, -360, 360) % 360
    if angle % 90 == 0:
        return (size[1], size[0]) if angle % 180 else size
    across, down = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    width, height = size
    return round(width * across + height * down), round(width * down + height * across)


@register("rotate", phase="turn", size=_rotated_size)
def rotate(im: Image.Image, value: Value) -> Image.Image:
    """Turn clockwise by `value` degrees, -360 to 360 (90).

    The canvas grows to hold all of it; the corners are clear, or `background` in a JPEG.
    """
    angle = number(value, 90, -360, 360) % 360
    if angle % 90 == 0:
        return im.transpose(_QUARTERS[int(angle)]) if angle else im
    clear = im if im.mode == "RGBA" else im.convert("RGBA")
    return clear.rotate(-angle, Image.Resampling.BICUBIC, expand=True)


@register("flip", phase="turn")
def flip(im: Image.Image, value: Value) -> Image.Image:
    """Mirror: `horizontal` (the default: left becomes right) or `vertical`."""
    way = "horizontal" if value in (None, True) else value
    if way not in _FLIPS:
        raise ValueError("horizontal or vertical")
    return im.transpose(_FLIPS[way])
