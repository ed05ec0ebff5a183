"""Tones: how light and dark are spread. None of them moves a colour towards another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from PIL import Image, ImageEnhance

from imgpipe.runtime.image.filters.registry import Value, number, register

if TYPE_CHECKING:
    from imgpipe.runtime.image.geometry import Size

NEAREST = Image.Resampling.NEAREST
SAMPLE_SIDE = 256
MEASURABLE = 0.1
"""The percentage from which some of the pixels tell the range as well as all."""


@register("autocontrast")
def autocontrast(im: Image.Image, value: Value) -> Image.Image:
    """Stretch brightness to the full range, ignoring `value` percent, 0 to 49 (1), at each end.

    Colours keep their balance. The range is read off every few pixels, within a level of all. In a
    small copy it would be up to 29 levels off: there, what is brightest is blended with the rest.
    """
    ignored = number(value, 1.0, 0, 49)
    seen = im.resize(_within(im.size, SAMPLE_SIDE), NEAREST) if ignored >= MEASURABLE else im
    counts = list(enumerate(seen.convert("L").histogram()))
    allowed = seen.width * seen.height * ignored / 100
    low, high = _first_beyond(counts, allowed), _first_beyond(reversed(counts), allowed)
    if high <= low:
        return im
    return _curve(im, lambda level: (level * 255 - low) / (high - low))


@register("brightness")
def brightness(im: Image.Image, value: Value) -> Image.Image:
    """Scale brightness by 0 to 10 (1.1): 1 is unchanged."""
    factor = number(value, 1.1, 0, 10)
    return _curve(im, lambda level: level * factor)


@register("contrast")
def contrast(im: Image.Image, value: Value) -> Image.Image:
    """Scale the distance from the picture's mean brightness by 0 to 10 (1.1): 1 is unchanged."""
    return ImageEnhance.Contrast(im).enhance(number(value, 1.1, 0, 10))


@register("gamma")
def gamma(im: Image.Image, value: Value) -> Image.Image:
    """Lighten (1 to 10) or darken (0.1 to 1) the middle tones; black and white stay."""
    exponent = 1 / number(value, 1.1, 0.1, 10)
    return _curve(im, lambda level: level**exponent)


def _curve(im: Image.Image, curve: Callable[[float], float]) -> Image.Image:
    """Return `im` with `curve` (0..1 to 0..1) applied to every channel, by a table."""
    table = [round(min(1.0, max(0.0, curve(value / 255))) * 255) for value in range(256)]
    return im.point(table * 3)


def _first_beyond(levels: Iterable[tuple[int, int]], allowed: float) -> int:
    """Return the first level at which more than `allowed` pixels have been passed."""
    passed = 0
    for level, count in levels:
        passed += count
        if passed > allowed:
            return level
    return 0


def _within(size: Size, side: int) -> Size:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
