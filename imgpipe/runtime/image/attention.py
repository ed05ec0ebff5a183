"""Where a picture has most detail: what `gravity: attention` keeps when something must be cut off.

Detail is what a blurred copy lacks, summed along the side that is cut, on a copy of a hundred pixels:
cheap, the same everywhere, and explained in a sentence. It knows no faces: a plain face before a wild
hedge loses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFilter

from imgpipe.runtime.image.geometry import CENTRE, Placement, Point, Size, scaled
from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDE = 96
BLUR = 2.0
NOISE = 6
"""Levels of detail that count as none: the grain of a grey sky."""
AS_GOOD = 0.97
"""Of the best window's detail: among windows that have so much, the one nearest the centre wins."""


def focus(im: Image.Image, placement: Placement, original: Size) -> Point:
    """Return the middle of the most detailed part of `im` that is as large as the placement's crop.

    `im` is a copy of the whole picture, `original` the size that the placement is in.
    """
    left, top, right, bottom = placement.crop
    across, down = (right - left) / original[0], (bottom - top) / original[1]
    if across >= 1 and down >= 1:
        return CENTRE
    seen = _detail(im)
    return _middle(_along(seen, 0), across), _middle(_along(seen, 1), down)


def _detail(im: Image.Image) -> Image.Image:
    small = resize(im, scaled(im.size, min(1.0, SIDE / max(im.size))))
    grey = _on_grey(small)
    apart = ImageChops.difference(grey, grey.filter(ImageFilter.GaussianBlur(BLUR)))
    return apart.point([max(0, level - NOISE) for level in range(256)])


def _on_grey(im: Image.Image) -> Image.Image:
    """Return brightness; what is transparent is plain."""
    if im.mode != "RGBA":
        return im.convert("L")
    under = Image.new("L", im.size, 128)
    under.paste(im.convert("L"), mask=im.getchannel("A"))
    return under


def _along(detail: Image.Image, axis: int) -> list[float]:
    """Return the mean detail of each column (axis 0) or row (1)."""
    size = (detail.width, 1) if axis == 0 else (1, detail.height)
    line = detail.convert("F").resize(size, Image.Resampling.BOX)
    count = max(size)
    return [float(line.getpixel((at, 0) if axis == 0 else (0, at))) for at in range(count)]  # type: ignore[arg-type]


def _middle(line: Sequence[float], share: float) -> float:
    """Return the middle of the best window of `share` of the line, from 0 to 1."""
    length = max(1, round(len(line) * share))
    starts = range(len(line) - length + 1)
    sums = [sum(line[start : start + length]) for start in starts]
    best = max(sums)
    centre = (len(line) - length) / 2
    good = [start for start in starts if sums[start] >= AS_GOOD * best]
    start = min(good, key=lambda each: (abs(each - centre), each))
    return (start + length / 2) / len(line)
