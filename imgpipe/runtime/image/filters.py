"""The filters of pipeline.yaml by name: small pure functions from a picture and a value to a picture.

Every filter sees plain RGB: `apply` takes alpha off before and puts it back after. To add one,
write it here or in a file of your own that the handler imports, and register it:

    @register("negative")
    def negative(im: Image.Image, value: Value) -> Image.Image:
        return ImageChops.invert(im)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageEnhance, ImageFilter

from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from imgpipe.runtime.image.geometry import Size

Value = Any  # what pipeline.yaml says behind the filter's name; None when it says nothing
Filter = Callable[[Image.Image, Value], Image.Image]
FILTERS: dict[str, Filter] = {}
SAMPLE_SIDE = 256
MEASURABLE = 0.1
"""The percentage from which a small copy tells the range as well as the whole picture."""
GREY = (0.299, 0.587, 0.114)


def register(name: str) -> Callable[[Filter], Filter]:
    def keep(function: Filter) -> Filter:
        FILTERS[name] = function
        return function

    return keep


def apply(im: Image.Image, wanted: Sequence[Mapping[str, Value]]) -> Image.Image:
    """Return `im` after each filter of `wanted`: `[{"autocontrast": None}, {"sharpen": 1.2}]`."""
    if not wanted:
        return im
    alpha = im.getchannel("A") if im.mode == "RGBA" else None
    made = im.convert("RGB")
    for each in wanted:
        for name, value in each.items():
            made = FILTERS[name](made, value).convert("RGB")
    if alpha:
        made.putalpha(alpha)
    return made


def _number(value: Value, default: float) -> float:
    return default if value is None or value is True else float(value)


def _matrix(im: Image.Image, rows: Sequence[Sequence[float]]) -> Image.Image:
    """Return each channel of `im` as a sum of all three: fused, so that it costs one pass."""
    return im.convert("RGB", tuple(number for row in rows for number in (*row, 0.0)))


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


@register("autocontrast")
def autocontrast(im: Image.Image, value: Value) -> Image.Image:
    """Stretch brightness to the full range, ignoring `value` percent (1) at each end.

    Colours keep their balance. The range is read off a small copy: a percent is a percent there
    too.
    """
    ignored = _number(value, 1.0)
    seen = resize(im, _within(im.size, SAMPLE_SIDE)) if ignored >= MEASURABLE else im
    counts = list(enumerate(seen.convert("L").histogram()))
    allowed = seen.width * seen.height * ignored / 100
    low, high = _first_beyond(counts, allowed), _first_beyond(reversed(counts), allowed)
    if high <= low:
        return im
    return _curve(im, lambda level: (level * 255 - low) / (high - low))


@register("sharpen")
def sharpen(im: Image.Image, value: Value) -> Image.Image:
    """Sharpen; 1 leaves the picture as it is, 1.2 is discreet, 2 is much.

    Pillow's `ImageEnhance.Sharpness` (what stands out from a smoothed copy, times `value`) as one
    kernel, on brightness alone: colours don't fringe, and it takes two thirds of the time.
    """
    factor = _number(value, 1.2)
    if factor == 1:
        return im
    around = (1 - factor) / 13
    kernel = ImageFilter.Kernel(
        (3, 3), [*[around] * 4, 5 * around + factor, *[around] * 4], scale=1
    )
    light, blue, red = im.convert("YCbCr").split()
    return Image.merge("YCbCr", (light.filter(kernel), blue, red)).convert("RGB")


@register("saturation")
def saturation(im: Image.Image, value: Value) -> Image.Image:
    """Scale the strength of colours: 0 is grey, 1 unchanged."""
    factor = _number(value, 1.2)
    rows = [
        [(1 - factor) * grey + (factor if row == column else 0) for column, grey in enumerate(GREY)]
        for row in range(3)
    ]
    return _matrix(im, rows)


@register("brightness")
def brightness(im: Image.Image, value: Value) -> Image.Image:
    """Scale brightness: 1 is unchanged."""
    factor = _number(value, 1.1)
    return _curve(im, lambda level: level * factor)


@register("contrast")
def contrast(im: Image.Image, value: Value) -> Image.Image:
    """Scale the distance from the picture's mean brightness: 1 is unchanged."""
    return ImageEnhance.Contrast(im).enhance(_number(value, 1.1))


@register("gamma")
def gamma(im: Image.Image, value: Value) -> Image.Image:
    """Lighten (above 1) or darken (below 1) the middle tones; black and white stay."""
    exponent = 1 / _number(value, 1.1)
    return _curve(im, lambda level: level**exponent)


@register("greyscale")
def greyscale(im: Image.Image, value: Value) -> Image.Image:
    """Take the colours out, by `value` from 0 to 1 (1)."""
    return saturation(im, 1 - _number(value, 1.0))


@register("sepia")
def sepia(im: Image.Image, value: Value) -> Image.Image:
    """Tone like an old photograph, by `value` from 0 to 1 (1)."""
    tone = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
    return _matrix(im, _blended(tone, _number(value, 1.0)))


@register("blur")
def blur(im: Image.Image, value: Value) -> Image.Image:
    """Blur with a Gaussian of `value` pixels radius (2)."""
    return im.filter(ImageFilter.GaussianBlur(_number(value, 2.0)))


@register("tint")
def tint(im: Image.Image, value: Value) -> Image.Image:
    """Multiply with a colour such as "#c83c32": white takes the colour, black stays."""
    from PIL import ImageColor

    colour = ImageColor.getrgb("#c83c32" if value in (None, True) else str(value))[:3]
    return im.point([round(level * part / 255) for part in colour for level in range(256)])


def _blended(rows: Sequence[Sequence[float]], amount: float) -> list[list[float]]:
    return [
        [number * amount + (1 - amount) * (row == column) for column, number in enumerate(numbers)]
        for row, numbers in enumerate(rows)
    ]
