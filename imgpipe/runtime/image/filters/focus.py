"""Focus: how steep edges are."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter

from imgpipe.runtime.image.filters.colours import saturation
from imgpipe.runtime.image.filters.registry import Value, number, register

MOST_BLUR = 250
"""Pixels of radius: the work and the memory grow with it, and nothing is left to be seen."""
DISCREET = 0.8
"""Up to so much from 1 the change of a level stays below 128, whatever the picture."""
AROUND = 8 / 13
"""The eight neighbours' share in Pillow's smoothed copy, in which a pixel itself counts for five."""


def vivid_and_sharp(im: Image.Image, values: tuple[Value, Value]) -> Image.Image:
    """Do `saturation` and then `sharpen` in half of the time, rounding once.

    The one moves a picture away from its grey copy, the other from a blurred one, in brightness,
    which saturation leaves as it is: both move it away from a grey copy that is a little blurred.
    """
    vivid, sharp = number(values[0], 1.2, 0, 10), number(values[1], 1.2, 0, 10)
    away, by = vivid - 1, (sharp - 1) * AROUND
    if not 0 < by <= away or max(vivid, sharp) > 1 + DISCREET or min(im.size) < 3:
        return sharpen(saturation(im, vivid), sharp)
    light = im.convert("L")
    light.paste(Image.blend(_inner(light), _around(light), by / away), (1, 1))
    down = max(0.0, 0.5 / away - 1)  # what `blend` cuts off, on the mean, below and here
    light = light.point([max(0, round(level - down)) for level in range(256)])
    return Image.blend(_thrice(light), im, vivid)


@register("sharpen", after={"saturation": vivid_and_sharp})
def sharpen(im: Image.Image, value: Value) -> Image.Image:
    """Sharpen by 0 to 10 (1.2); 1 leaves the picture as it is, 1.2 is discreet, 2 is much.

    Pillow's `ImageEnhance.Sharpness` (what stands out from a smoothed copy, times `value`) on
    brightness alone: colours don't fringe. What it adds is added to all channels; Pillow's way to
    YCbCr and back would darken red and blue by 1.6 levels.
    """
    factor = number(value, 1.2, 0, 10)
    if factor == 1 or min(im.size) < 3:
        return im
    light = im.convert("L")
    if abs(factor - 1) <= DISCREET:
        return _shifted(im, _small_change(light, factor))
    change = ImageChops.subtract(light.filter(_kernel(factor)), light, 2, 128)
    return _shifted(_shifted(im, change), change)


@register("blur", alpha=True)
def blur(im: Image.Image, value: Value) -> Image.Image:
    """Blur with a Gaussian of `value` pixels radius, 0 to 250 (2).

    Colours are weighed by their alpha, which blurs with them: what is clear has no colour to bleed.
    """
    soft = ImageFilter.GaussianBlur(number(value, 2.0, 0, MOST_BLUR))
    if im.mode == "RGBA":
        return im.convert("RGBa").filter(soft).convert("RGBA") if soft.radius else im
    return im.filter(soft)


def _kernel(factor: float) -> ImageFilter.Kernel:
    around = (1 - factor) / 13
    return ImageFilter.Kernel((3, 3), [*[around] * 4, 5 * around + factor, *[around] * 4], scale=1)


def _small_change(light: Image.Image, factor: float) -> Image.Image:
    """Return by how much each pixel of `light` gets lighter, over 128; nothing at the edge.

    Pillow's kernels take three times as long as a mean of neighbours that is made of means of two
    pictures. That is up to 1.75 levels too low, of which no more than half gets into the change.
    """
    apart = _mean(_inner(light), ImageChops.invert(_around(light)))
    by = 2 * (factor - 1) * AROUND
    change = Image.new("L", light.size, 128)
    table = [min(255, max(0, round(128 + (half - 127) * by))) for half in range(256)]
    change.paste(apart.point(table), (1, 1))
    return change


def _around(light: Image.Image) -> Image.Image:
    """Return the mean of each pixel's eight neighbours, of all that have eight."""
    width, height = light.size
    right, bottom = width - 2, height - 2
    rows = _mean(light.crop((0, 0, right, height)), light.crop((2, 0, width, height)))
    corners = _mean(rows.crop((0, 0, right, bottom)), rows.crop((0, 2, right, height)))
    column = _mean(light.crop((1, 0, width - 1, bottom)), light.crop((1, 2, width - 1, height)))
    sides = _mean(rows.crop((0, 1, right, height - 1)), column)
    return _mean(corners, sides)


def _mean(one: Image.Image, other: Image.Image) -> Image.Image:
    return Image.blend(one, other, 0.5)


def _inner(im: Image.Image) -> Image.Image:
    return im.crop((1, 1, im.width - 1, im.height - 1))


def _shifted(im: Image.Image, change: Image.Image) -> Image.Image:
    return ImageChops.add(im, _thrice(change), 1, -128)


def _thrice(light: Image.Image) -> Image.Image:
    return Image.merge("RGB", (light, light, light))
