"""Colours of a small copy, and of a few pixels: read off the whole picture they take hundreds of times
longer and are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from imgpipe.runtime.image.facts.blurhash import blurhash
from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_COLOURS = 32


def colours(small: Image.Image, pixels: Image.Image, count: int) -> dict[str, Any]:
    """Return the average colour, the `count` main ones, most frequent first, as `#rrggbb` in sRGB,
    and a BlurHash, which stands for the picture while it loads.

    `small`, a copy, and `pixels`, some of the picture's own, are RGB. The main colours are Pillow's
    median cut; how frequent each is isn't kept.
    """
    reduced = pixels.quantize(max(1, min(count, MAX_COLOURS)), method=Image.Quantize.MEDIANCUT)
    palette = reduced.getpalette("RGB") or []
    ranked = sorted(reduced.getcolors() or [], key=lambda each: (-each[0], each[1]))
    named = [
        _hex(palette[3 * index : 3 * index + 3]) for _, index in ranked if isinstance(index, int)
    ]
    return {
        "average": _hex(_average(small)),
        "palette": list(dict.fromkeys(named)),
        "blurhash": blurhash(small),
    }


def _average(small: Image.Image) -> Sequence[int]:
    found = resize(small, (1, 1)).getpixel((0, 0))
    return found if isinstance(found, tuple) else (0, 0, 0)


def _hex(channels: Sequence[int]) -> str:
    red, green, blue = (int(value) for value in channels[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"
