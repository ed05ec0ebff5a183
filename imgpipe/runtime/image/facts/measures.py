"""Measures of a picture's look: how bright, how sharp, and a hash by which the same picture is
known again.

Taken of a copy whose longer side is 512 pixels, so that a number means the same for a telephone's
picture and for a scan of a hundred megapixels. A smaller picture is taken as it is.
"""

from __future__ import annotations

import math
from functools import lru_cache
from operator import mul
from typing import TYPE_CHECKING, Any

from PIL import ImageChops, ImageFilter, ImageStat

from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from PIL import Image

HASH_SIDE = 32
HASH_WAVES = 8
LAPLACE = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=4, offset=128)


def measures(copy: Image.Image, small: Image.Image) -> dict[str, Any]:
    """Return `phash`, `brightness`, `contrast`, `sharpness` and `colour` of an RGB copy, and of a
    smaller one for what doesn't need its detail.

    brightness   mean of the grey levels, 0 (black) to 1 (white)
    contrast     their standard deviation, 0 to 0.5
    sharpness    variance of the Laplacian (Pech-Pacheco et al., 2000), of grey levels 0 to 255
    colour       mean distance of a pixel's strongest from its weakest channel, 0 (grey) to 1
    """
    grey = copy.convert("L")
    levels = ImageStat.Stat(grey)
    return {
        "phash": phash(grey),
        "brightness": round(levels.mean[0] / 255, 3),
        "contrast": round(levels.stddev[0] / 255, 3),
        "sharpness": sharpness(grey),
        "colour": round(ImageStat.Stat(chroma(small)).mean[0] / 255, 3),
    }


def sharpness(grey: Image.Image) -> float:
    """Return the variance of the Laplacian; 0 for what is too small to have one."""
    if min(grey.size) < 3:
        return 0.0
    edges = grey.filter(LAPLACE).crop((1, 1, grey.width - 1, grey.height - 1))
    return round(16 * ImageStat.Stat(edges).var[0], 1)


def chroma(copy: Image.Image) -> Image.Image:
    """Return how far each pixel's strongest channel is from its weakest, as L."""
    red, green, blue = copy.split()
    strongest = ImageChops.lighter(red, ImageChops.lighter(green, blue))
    weakest = ImageChops.darker(red, ImageChops.darker(green, blue))
    return ImageChops.subtract(strongest, weakest)


def phash(grey: Image.Image) -> str:
    """Return a perceptual hash: 64 bits as 16 hexadecimal digits.

    The bits say which of the 8 x 8 slowest waves of the picture at 32 x 32 (its DCT) are stronger
    than their median; row by row, the first bit highest: what `imagehash.phash` calculates
    (https://github.com/JohannesBuchner/imagehash, after Neal Krawetz' "Looks Like It"). Resized or
    compressed, a picture changes a few bits at most; unrelated ones differ in about 32. Waves are
    rounded, so that where there are none (a plain colour) no bit hangs on the machine's last digit.
    """
    values = resize(grey, (HASH_SIDE, HASH_SIDE)).tobytes()
    rows = [values[at : at + HASH_SIDE] for at in range(0, len(values), HASH_SIDE)]
    waves = _waves()
    across = [[sum(map(mul, row, wave)) for row in rows] for wave in waves]
    found = [round(sum(map(mul, column, wave)), 3) for wave in waves for column in across]
    ordered = sorted(found)
    middle = (ordered[31] + ordered[32]) / 2
    bits = "".join("1" if value > middle else "0" for value in found)
    return f"{int(bits, 2):016x}"


@lru_cache(maxsize=1)
def _waves() -> list[list[float]]:
    step = math.pi / (2 * HASH_SIDE)
    return [
        [math.cos(wave * (2 * at + 1) * step) for at in range(HASH_SIDE)]
        for wave in range(HASH_WAVES)
    ]
