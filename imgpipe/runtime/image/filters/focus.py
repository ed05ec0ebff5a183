"""Focus: how steep edges are."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter

from imgpipe.runtime.image.filters.registry import Value, number, register

MOST_BLUR = 250
"""Pixels of radius: the work and the memory grow with it, and nothing is left to be seen."""


DISCREET = 0.8
"""Up to so much from 1 the change of a level stays below 128, whatever the picture."""


@register("sharpen")
def sharpen(im: Image.Image, value: Value) -> Image.Image:
    """Sharpen by 0 to 10 (1.2); 1 leaves the picture as it is, 1.2 is discreet, 2 is much.

    Pillow's `ImageEnhance.Sharpness` (what stands out from a smoothed copy, times `value`) as one
    kernel, on brightness alone: colours don't fringe. What it adds is added to all channels;
    Pillow's way to YCbCr and back would darken red and blue by 1.6 levels.
    """
    factor = number(value, 1.2, 0, 10)
    if factor == 1:
        return im
    around = (1 - factor) / 13
    kernel = ImageFilter.Kernel(
        (3, 3), [*[around] * 4, 5 * around + factor, *[around] * 4], scale=1
    )
    light = im.convert("L")
    times = 1 if abs(factor - 1) <= DISCREET else 2
    change = ImageChops.subtract(light.filter(kernel), light, times, 128)
    for _ in range(times):
        im = ImageChops.add(im, Image.merge("RGB", (change, change, change)), 1, -128)
    return im


@register("blur", alpha=True)
def blur(im: Image.Image, value: Value) -> Image.Image:
    """Blur with a Gaussian of `value` pixels radius, 0 to 250 (2).

    Colours are weighed by their alpha, which blurs with them: what is clear has no colour to bleed.
    """
    soft = ImageFilter.GaussianBlur(number(value, 2.0, 0, MOST_BLUR))
    if im.mode == "RGBA":
        return im.convert("RGBa").filter(soft).convert("RGBA") if soft.radius else im
    return im.filter(soft)
