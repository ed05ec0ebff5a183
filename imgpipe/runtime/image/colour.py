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

from PIL import Image, ImageChops

from imgpipe.runtime.image.profiles import is_srgb

PLAIN = frozenset({"L", "RGB", "RGBA"})
MAX_PROFILE_BYTES = 8_000_000
_GREY, _RGB = b"GRAY", b"RGB "
_SPACES = {"L": _GREY, "LA": _GREY, "RGB": _RGB, "RGBA": _RGB}
_KEPT_IN = frozenset({"jpeg", "png", "webp", "avif"})
_GREY_KEPT_IN = frozenset({"jpeg", "png"})
"""A GIF has no profile, a WebP no grey, and an AVIF no grey beside alpha."""
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
    """Return grey of more than 8 bits as L; as RGBA where a level of a PNG is clear.

    Sixteen bits keep their range; others are stretched to what they use.
    """
    wide = im.convert("F")
    low, high = (float(value) for value in wide.getextrema())  # type: ignore[arg-type]
    if im.mode.startswith("I;16"):
        bottom, top = 0.0, 65_535.0
    else:
        bottom, top = _range(low, high, whole=im.mode == "I")
    factor = 255 / (top - bottom) if top > bottom else 0.0
    made = wide.point(lambda value: value * factor + (0.5 - bottom * factor)).convert("L")
    clear = im.info.get("transparency") if im.mode == "I;16" else None
    return made if clear is None else _with_alpha(made, _all_but(im, clear))


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


def to_srgb(im: Image.Image, profile: bytes | None, *, grey: bool = False) -> Image.Image:
    """Return an L, RGB, RGBA or CMYK picture as L, RGB or RGBA in sRGB.

    `grey`: an RGBA picture is stored as grey with alpha, and a profile of grey is meant for it. One of
    RGB fits grey, too, as browsers have it.
    """
    plain = im if im.mode in PLAIN else im.convert("RGB")
    if not profile or len(profile) > MAX_PROFILE_BYTES:
        return plain
    if im.mode == "RGBA":
        colours = to_srgb(im.convert("L" if grey else "RGB"), profile)
        return _with_alpha(colours, im.getchannel("A"))
    mode = "RGB" if im.mode == "L" and _space(profile) == _RGB else im.mode
    transform = _transform(profile, mode)
    if transform is None:
        return plain
    turned = _applied(transform, im if im.mode == mode else im.convert(mode))
    return turned.convert("L") if im.mode == "L" else turned


def _space(profile: bytes) -> bytes:
    """Return whose pixels a profile describes (ICC.1:2022, 7.2.6)."""
    return profile[16:20]


def _with_alpha(colours: Image.Image, alpha: Image.Image) -> Image.Image:
    made = colours if colours.mode == "RGB" else colours.convert("RGB")
    made.putalpha(alpha)
    return made


def _all_but(im: Image.Image, clear: int) -> Image.Image:
    """Return the alpha of grey of 16 bits, one level of which is clear: a byte after the other, the lower first."""
    both = Image.frombuffer("LA", im.size, im.tobytes(), "raw", "LA", 0, 1)
    wanted = divmod(clear, 256)[::-1]
    apart = (
        half.point([0 if level == part else 255 for level in range(256)])
        for half, part in zip(both.split(), wanted, strict=True)
    )
    return ImageChops.lighter(*apart)


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
    return profile if _space(profile) == space else None


def can_keep(profile: bytes | None, mode: str, kind: str, *, colours: bool = False) -> bool:
    """Say whether a file of the format `kind` can hold a picture of the stored `mode` in its own profile.

    What can't is converted: without its profile it would look different. `colours`: grey may get some.
    """
    grey = mode in ("1", "L", "LA", "La") or mode.startswith(("I", "F"))
    if (grey and colours) or not fitting_profile(profile, "L" if grey else "RGB"):
        return False
    return kind in (_GREY_KEPT_IN if grey else _KEPT_IN)
