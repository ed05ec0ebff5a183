"""Colours: each a sum of the three channels, or a table for each."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from imgpipe.runtime.image.filters.registry import Value, number, register

GREY = (0.299, 0.587, 0.114)
"""The share of red, green and blue in brightness (ITU-R BT.601), as in Pillow's own conversion."""


@register("saturation")
def saturation(im: Image.Image, value: Value) -> Image.Image:
    """Scale the strength of colours by 0 to 10 (1.2): 0 is grey, 1 unchanged."""
    factor = number(value, 1.2, 0, 10)
    rows = [
        [(1 - factor) * grey + (factor if row == column else 0) for column, grey in enumerate(GREY)]
        for row in range(3)
    ]
    return _matrix(im, rows)


@register("greyscale")
def greyscale(im: Image.Image, value: Value) -> Image.Image:
    """Take the colours out, by `value` from 0 to 1 (1)."""
    return saturation(im, 1 - number(value, 1.0, 0, 1))


@register("sepia", colours=True)
def sepia(im: Image.Image, value: Value) -> Image.Image:
    """Tone like an old photograph, by `value` from 0 to 1 (1)."""
    tone = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
    return _matrix(im, _blended(tone, number(value, 1.0, 0, 1)))


@register("tint", colours=True)
def tint(im: Image.Image, value: Value) -> Image.Image:
    """Multiply with a colour such as "#c83c32": white takes the colour, black stays."""
    from PIL import ImageColor

    colour = ImageColor.getrgb("#c83c32" if value in (None, True) else str(value))[:3]
    return im.point([round(level * part / 255) for part in colour for level in range(256)])


def _matrix(im: Image.Image, rows: Sequence[Sequence[float]]) -> Image.Image:
    """Return each channel of `im` as a sum of all three: fused, so that it costs one pass."""
    return im.convert("RGB", tuple(part for row in rows for part in (*row, 0.0)))


def _blended(rows: Sequence[Sequence[float]], amount: float) -> list[list[float]]:
    return [
        [part * amount + (1 - amount) * (row == column) for column, part in enumerate(numbers)]
        for row, numbers in enumerate(rows)
    ]
