"""Colours: whatever a file stores becomes 8-bit L, RGB or RGBA, in sRGB.

Sixteen bits and floats are scaled, not clipped (a plain `convert` turns them white). A profile is
applied after the first resize, to few pixels; one that does what sRGB does costs nothing, one that
can't be read is ignored: a picture in slightly wrong colours is better than none.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from typing import Any

from PIL import Image

from imgpipe.runtime.image.profiles import is_srgb

PLAIN = frozenset({"L", "RGB", "RGBA"})
MAX_PROFILE_BYTES = 8_000_000
_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}
_TO_RGBA = frozenset({"PA", "LA", "La", "RGBa"})


def eight_bit(im: Image.Image) -> Image.Image:
    """Return `im` as L, RGB, RGBA or, left for the profile to turn into RGB, CMYK."""
    if "transparency" in im.info and im.mode in ("1", "L", "RGB", "P"):
        return im.convert("RGBA")
    if im.mode in PLAIN or im.mode == "CMYK":
        return im
    if im.mode == "1":
        return im.convert("L")
    if im.mode.startswith(("I", "F")):
        return _scaled(im)
    if im.mode in _TO_RGBA or (im.mode == "P" and im.palette and im.palette.mode == "RGBA"):
        return im.convert("RGBA")
    return _from_lab(im) if im.mode == "LAB" else im.convert("RGB")


def _scaled(im: Image.Image) -> Image.Image:
    """Return grey of more than 8 bits as L.

    Sixteen bits keep their range; others are stretched to what they use.
    """
    wide = im.convert("F")
    low, high = (float(value) for value in wide.getextrema())  # type: ignore[arg-type]
    if im.mode.startswith("I;16"):
        bottom, top = 0.0, 65_535.0
    else:
        bottom, top = _range(low, high, whole=im.mode == "I")
    factor = 255 / (top - bottom) if top > bottom else 0.0
    return wide.point(lambda value: value * factor + (0.5 - bottom * factor)).convert("L")


def _range(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """Return the values that become black and white:

    a usual range if all values lie in it, else what is used.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    usual = (255.0, 65_535.0) if whole else (1.0, 255.0, 65_535.0)
    if low >= 0:
        for top in usual:
            if high <= top:
                return 0.0, top
    return low, high


def _from_lab(im: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), _srgb()
    return _applied(ImageCms.buildTransform(lab, srgb, "LAB", "RGB"), im)


def to_srgb(im: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an L, RGB, RGBA or CMYK picture as L, RGB or RGBA in sRGB."""
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        if im.mode == "RGBA":
            return _with_alpha(to_srgb(im.convert("RGB"), profile), im)
        transform = _transform(profile, im.mode)
        if transform is not None:
            turned = _applied(transform, im)
            return turned.convert("L") if im.mode == "L" else turned
    return im if im.mode in PLAIN else im.convert("RGB")


def _with_alpha(colours: Image.Image, alpha_of: Image.Image) -> Image.Image:
    colours.putalpha(alpha_of.getchannel("A"))
    return colours


def _applied(transform: Any, im: Image.Image) -> Image.Image:
    from PIL import ImageCms

    made = ImageCms.applyTransform(im, transform)
    assert made is not None  # noqa: S101 - only with inPlace
    return made


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> Any:
    """Return the transform to sRGB; None if there is nothing to do or the profile is no use."""
    if mode == "RGB" and is_srgb(profile):
        return None
    from PIL import ImageCms

    try:
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(read, _srgb(), mode, "RGB")
    except Exception:  # noqa: BLE001 - see the module's docstring
        return None


@lru_cache(maxsize=1)
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


def flatten(im: Image.Image, background: str) -> Image.Image:
    """Return `im` without alpha, laid on `background`:

    a transparent picture must not turn dark as a JPEG.
    """
    if im.mode != "RGBA":
        return im
    under = Image.new("RGB", im.size, background)
    under.paste(im, mask=im.getchannel("A"))
    return under


def without_empty_alpha(im: Image.Image, *, grey: bool = False) -> Image.Image:
    """Return RGB, or L for what is stored in grey, for an RGBA picture that hides nothing."""
    if im.mode != "RGBA" or im.getchannel("A").getextrema()[0] != 255:
        return im
    return im.convert("L" if grey else "RGB")


def is_grey(colour: str) -> bool:
    """Say whether a colour such as `#ffffff` is one that a grey picture has."""
    from PIL import ImageColor

    return len(set(ImageColor.getrgb(colour)[:3])) == 1


def fitting_profile(profile: bytes | None, mode: str) -> bytes | None:
    """Return `profile` if it describes pixels of `mode`, by its header (ICC.1:2022, 7.2)."""
    space = _SPACES.get(mode)
    if not profile or not space or len(profile) > MAX_PROFILE_BYTES or profile[36:40] != b"acsp":
        return None
    return profile if profile[16:20] == space else None
