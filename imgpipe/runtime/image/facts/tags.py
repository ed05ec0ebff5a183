"""Words for a picture, computed from its own measures: `basic`, as against a model that recognises
things. Each tag carries its origin, so that nobody takes the one for the other.

    portrait landscape square panorama     the upright size: 2 % from a square is one, 2 to 1 wide
    dark bright                            brightness below 0.25, above 0.75
    blurry                                 sharpness below 20, where there is anything to be sharp
    monochrome                             hardly a pixel has colour
    has-alpha                              something is transparent
    animated, multi-page                   more than one frame
    camera                                 EXIF names a camera
    screenshot-like                        stored without loss, no camera, most neighbours are equal

The thresholds were set on photographs and blurred copies of them: nothing in focus came near, and
what was blurred by 1/200 of its length was always caught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import ImageChops

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from PIL import Image

SQUARE = 0.02
PANORAMA = 2.0
DARK, BRIGHT = 0.25, 0.75
BLURRY = 20.0
FLAT = 0.02
"""Contrast below which nothing can be told sharp from blurred."""
GREY_LEVEL, GREY_SHARE = 24, 0.98
EQUAL_SHARE = 0.6
LOSSLESS = frozenset({"png", "bmp", "gif", "webp", "tiff"})
ANIMATED = frozenset({"gif", "png", "webp", "avif"})


def named(names: Iterable[str], origin: str) -> list[dict[str, Any]]:
    return [{"name": name, "origin": origin} for name in names]


def basic(
    told: Mapping[str, Any], copy: Image.Image, chroma: Image.Image, *, alpha: bool, camera: bool
) -> list[str]:
    """Return the tags of a picture: `told` is what header and measures say, `copy` a small RGB
    copy, `chroma` its strength of colour.
    """
    found = [*_shape(told), *_light(told)]
    more = {
        "monochrome": _share_below(chroma, GREY_LEVEL) >= GREY_SHARE,
        "has-alpha": alpha,
        "camera": camera,
        "screenshot-like": told["format"] in LOSSLESS and not camera and _is_flat(copy),
    }
    return [*found, *_frames(told), *(name for name, applies in more.items() if applies)]


def _shape(told: Mapping[str, Any]) -> Iterator[str]:
    ratio = told["width"] / told["height"]
    if abs(ratio - 1) <= SQUARE:
        yield "square"
    else:
        yield "landscape" if ratio > 1 else "portrait"
    if ratio >= PANORAMA:
        yield "panorama"


def _light(told: Mapping[str, Any]) -> Iterator[str]:
    if told["brightness"] < DARK:
        yield "dark"
    if told["brightness"] > BRIGHT:
        yield "bright"
    if told["sharpness"] < BLURRY and told["contrast"] > FLAT:
        yield "blurry"


def _frames(told: Mapping[str, Any]) -> Iterator[str]:
    if told.get("frames", 1) > 1:
        yield "animated" if told["format"] in ANIMATED else "multi-page"


def _share_below(levels: Image.Image, level: int) -> float:
    counts = levels.histogram()
    return sum(counts[:level]) / sum(counts)


def _is_flat(copy: Image.Image) -> bool:
    """Say whether most pixels are like their neighbour to the right, as in drawn interfaces."""
    grey = copy.convert("L")
    if min(grey.size) < 16:
        return False
    width, height = grey.size
    left, right = grey.crop((0, 0, width - 1, height)), grey.crop((1, 0, width, height))
    return _share_below(ImageChops.difference(left, right), 2) >= EQUAL_SHARE
