"""All variants of a picture, each from the next larger one:

a cascade costs a fraction of going back to the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from imgpipe.runtime.image.colour import is_grey
from imgpipe.runtime.image.geometry import BACKGROUND
from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgpipe.runtime.image.geometry import Box, Placement, Size, Variant

LOSSY = frozenset({"webp", "avif"})
"""Of the formats with alpha, those that blend neighbours when they are encoded."""


def render(
    base: Image.Image, wanted: Sequence[tuple[Variant, Placement]], original: Size
) -> Iterator[tuple[Variant, Image.Image]]:
    """Make the variants of an upright picture, the largest first.

    `original` is the size that placements are in.
    """
    source = base
    for variant, placement in sorted(wanted, key=lambda each: -each[1].scale()):
        pixels = cut(source, placement, original)
        if _serves_smaller_ones(variant, placement, original) and pixels.width <= source.width:
            source = pixels
        yield variant, _on_canvas(pixels, placement, variant)


def _serves_smaller_ones(variant: Variant, placement: Placement, original: Size) -> bool:
    """Say whether all of the picture is there, in its own proportions."""
    return variant.fit != "fill" and placement.whole(original)


def cut(source: Image.Image, placement: Placement, original: Size) -> Image.Image:
    """Return the placement's part of `source`, a smaller copy of the original, at the placement's
    size.
    """
    across, down = source.width / original[0], source.height / original[1]
    left, top, right, bottom = placement.crop
    box: Box = (
        left * across,
        top * down,
        min(right * across, source.width),
        min(bottom * down, source.height),
    )
    width, height = placement.size
    if abs(box[2] - box[0] - width) < 1 and abs(box[3] - box[1] - height) < 1:
        x = min(max(0, round(box[0])), source.width - width)
        y = min(max(0, round(box[1])), source.height - height)
        if (
            x >= 0 and y >= 0
        ):  # the scale is right already: cutting is enough, and keeps every pixel
            return (
                source
                if (width, height) == source.size
                else source.crop((x, y, x + width, y + height))
            )
    return resize(source, placement.size, box)


def _on_canvas(pixels: Image.Image, placement: Placement, variant: Variant) -> Image.Image:
    """Return `pixels` on its canvas, where its focus says.

    What is around it is clear if the format can be and `background: clear` asks for it, or if it
    has alpha itself and no background is asked for.
    """
    if placement.canvas is None or placement.canvas == pixels.size:
        return pixels
    across, down = placement.focus
    at = (
        round((placement.canvas[0] - pixels.width) * across),
        round((placement.canvas[1] - pixels.height) * down),
    )
    if variant.clear or (pixels.mode == "RGBA" and variant.format != "jpeg"):
        if variant.clear or variant.background == BACKGROUND:
            return _on_nothing(pixels, placement.canvas, at, lossy=variant.format in LOSSY)
        canvas = Image.new("RGBA", placement.canvas, variant.background)
        canvas.paste(pixels, at)
        return canvas
    mode = "L" if pixels.mode == "L" and is_grey(variant.backdrop) else "RGB"
    canvas = Image.new(mode, placement.canvas, variant.backdrop)
    canvas.paste(pixels, at, mask=pixels.getchannel("A") if pixels.mode == "RGBA" else None)
    return canvas


def _on_nothing(pixels: Image.Image, size: Size, at: Size, *, lossy: bool) -> Image.Image:
    """Return `pixels` on a clear canvas.

    Under what is clear their edges go on, for encoders that blend neighbours: on black, a dark seam
    would show along a bright edge.
    """
    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    if lossy:
        _go_on(canvas, pixels, at)
    canvas.paste(pixels, at)
    return canvas


def _go_on(canvas: Image.Image, pixels: Image.Image, at: Size) -> None:
    (left, top), (width, height) = at, pixels.size
    right, bottom = left + width, top + height
    for edge, where in (
        ((0, 0, 1, height), (0, top, left, bottom)),
        ((width - 1, 0, width, height), (right, top, canvas.width, bottom)),
        ((0, 0, width, 1), (left, 0, right, top)),
        ((0, height - 1, width, height), (left, bottom, right, canvas.height)),
    ):
        if where[0] < where[2] and where[1] < where[3]:
            strip = (
                pixels.crop(edge).convert("RGB").resize((where[2] - where[0], where[3] - where[1]))
            )
            strip.putalpha(0)
            canvas.paste(strip, where[:2])
