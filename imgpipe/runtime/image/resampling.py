"""Lanczos resampling: cykooz.resizer's SIMD code where it is installed (x86_64), Pillow's
otherwise.

On 12-24 MP photographs the one takes a fifth of the other's time, at equal quality; it has no wheel
for arm64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from imgpipe.runtime.image.geometry import Box, Size

try:
    import cykooz_resizer as simd
except ImportError:
    simd = None  # Pillow then

SIMD_MODES = frozenset({"L", "RGB", "RGBA"})
_resizer = simd.Resizer() if simd else None


def resize(im: Image.Image, size: Size, box: Box | None = None) -> Image.Image:
    """Return the part `box` of `im` (in its pixels; everything, by default) at `size`.

    Colour under alpha is weighed.
    """
    whole = (0, 0, im.width, im.height)
    if size == im.size and (box is None or box == whole):
        return im
    if _resizer is None or im.mode not in SIMD_MODES:
        return im.resize(size, Image.Resampling.LANCZOS, box=box)
    left, top, right, bottom = box or whole
    made = Image.new(im.mode, size, None)  # every pixel is written: no need to clear them first
    options = simd.ResizeOptions(
        resize_alg=simd.ResizeAlg.convolution(simd.FilterType.lanczos3),
        crop_box=simd.CropBox(left, top, right - left, bottom - top),
    )
    _resizer.resize_pil(im, made, options)
    return made
