"""From an opened image to the pixels that all variants are made from, at the size of the largest
one.

The order is what makes it fast. A JPEG is decoded at the smallest eighth that is still 1.02 times
larger than needed (softer below that, slower above); the resize comes before everything that costs
by the pixel: profile, orientation, filters. Turning the picture first would switch the scaled
decode off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PIL import Image

from imgpipe.runtime.image import colour, profiles
from imgpipe.runtime.image.opening import Opened, check_memory, refusals, turned
from imgpipe.runtime.image.resampling import resize
from imgpipe.runtime.image.structure import wavelet_levels

if TYPE_CHECKING:
    from imgpipe.runtime.image.geometry import Box, Size
    from imgpipe.runtime.settings import Limits

GAP = 1.02
"""At 1600 px this costs 0.18 dB against 1.25, on the mean of 13 photographs, and 0.1 against 1.1: all of it on those of
8 MP, at half their size 1632 px wide, which take 25 ms less. Smaller variants lose nothing.
"""
MAX_BLOCK = 1 << 22
"""Bytes of a JPEG that its decoder is handed at once: with Pillow's 64 kB it takes 1 % longer."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def native(opened: Opened, size: Size, limits: Limits) -> Image.Image:
    """Return the frame that `opened` is at upright at `size`, in the file's own colours: L, RGB,
    RGBA or CMYK. Raises Rejected.
    """
    with refusals():
        stored = turned(size, opened.orientation)
        box = _draft(opened, stored)
        check_memory(opened.im, opened.stored, limits)
        opened.im.load()
        pixels = colour.eight_bit(opened.im)
        made = resize(pixels, _fitting(stored, pixels.size), box)
        return _bare(turn(made, opened.orientation), opened.im)


def in_srgb(im: Image.Image, opened: Opened) -> Image.Image:
    """Return a native picture in sRGB, without alpha that hides nothing."""
    with refusals():
        made = colour.to_srgb(im, profiles.of(opened.im), grey=opened.grey)
        made = colour.without_empty_alpha(made, grey=opened.grey)
        made.info = {}
        return made


def turn(im: Image.Image, orientation: int) -> Image.Image:
    """Return `im` turned upright from the EXIF orientation 1 to 8."""
    return im.transpose(_TURNS[orientation]) if orientation in _TURNS else im


def _draft(opened: Opened, stored: Size) -> Box | None:
    """Ask a decoder that can for fewer pixels; return the box of the picture within them, if it
    isn't all of them.
    """
    if opened.format == "JPEG2000":
        _reduce(opened.im, stored)
    if opened.format != "JPEG":
        return None
    jpeg: Any = opened.im
    jpeg.decodermaxblock = MAX_BLOCK
    wanted = (max(1, int(stored[0] * GAP)), max(1, int(stored[1] * GAP)))
    drafted = jpeg.draft(None, wanted)
    return drafted[1] if drafted else None


def _reduce(im: Any, stored: Size) -> None:
    """Let a JPEG 2000 be decoded at the smallest half that serves, of those that it holds.

    The decoder rounds sizes up and Pillow to the nearest: only where both agree does it work.
    """
    scale = min(im.width / stored[0], im.height / stored[1]) / GAP
    most = min(wavelet_levels(im.fp.getvalue()), int(math.log2(scale)) if scale > 1 else 0)
    agreed = (
        halved
        for halved in range(most, 0, -1)
        if all((side + 2**halved // 2) >> halved == -(-side >> halved) for side in im.size)
    )
    im.reduce = next(agreed, 0)


def _fitting(stored: Size, decoded: Size) -> Size:
    """Return the size in the decoder's own orientation, should it have turned the picture (TIFF,
    AVIF).
    """
    turned_by_decoder = (stored[0] > stored[1]) != (decoded[0] > decoded[1]) and stored[
        0
    ] != stored[1]
    return (stored[1], stored[0]) if turned_by_decoder and decoded[0] != decoded[1] else stored


def _bare(im: Image.Image, source: Image.Image) -> Image.Image:
    """Return `im` without comments, profiles and EXIF, which encoders would copy."""
    bare = im.copy() if im is source else im
    bare.info = {}
    return bare
