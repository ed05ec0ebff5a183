"""What the header says: no pixel is looked at."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from imgpipe.runtime.image.facts.values import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    from imgpipe.runtime.image.opening import Opened

MAX_PROFILE_BYTES = 8_000_000
BITS_PER_SAMPLE = 258
"""The TIFF tag."""
DEPTHS: Mapping[str, int] = {"1": 1, "I": 32, "F": 32}
"""Bits a channel by Pillow's mode, where it isn't 8 and the mode tells."""


def header(opened: Opened) -> dict[str, Any]:
    """Return format, upright size in pixels, Pillow's mode and, where there is one, the EXIF
    orientation that was undone and the number of frames or pages.
    """
    width, height = opened.size
    told: dict[str, Any] = {
        "format": opened.format.lower(),
        "width": width,
        "height": height,
        "mode": opened.mode,
    }
    if opened.orientation != 1:
        told["orientation"] = opened.orientation
    if opened.frames > 1:
        told["frames"] = opened.frames
    return told


def depth(opened: Opened, data: bytes) -> dict[str, Any]:
    """Return `depth`, the bits of a channel as the file stores them, before anything is converted.

    From PNG's IHDR, TIFF's BitsPerSample, HEIF's and AVIF's pixel information, else from the mode.
    """
    return {"depth": _stored_depth(opened, data) or _depth_of_mode(opened.mode)}


def _stored_depth(opened: Opened, data: bytes) -> int:
    if opened.format == "PNG" and data[12:16] == b"IHDR":
        return data[24]
    if opened.format == "TIFF":
        bits = getattr(opened.im, "tag_v2", {}).get(BITS_PER_SAMPLE)
        return int(max(bits)) if isinstance(bits, tuple) and bits else 0
    if data[4:8] == b"ftyp":
        return _pixel_information(data)
    return 0


def _pixel_information(data: bytes) -> int:
    """Return the bits of a channel from the first `pixi` box (ISO/IEC 23008-12, 6.5.6)."""
    at = data.find(b"pixi", 0, 65_536)
    return data[at + 9] if 0 <= at < len(data) - 9 and data[at + 8] in (1, 3, 4) else 0


def _depth_of_mode(mode: str) -> int:
    return 16 if mode.startswith("I;16") else DEPTHS.get(mode, 8)


def profile(im: Image.Image) -> dict[str, Any]:
    """Return `profile`, the ICC profile's own name; nothing where there is none."""
    found = im.info.get("icc_profile")
    name = _profile_name(found) if isinstance(found, bytes) and found else None
    return {"profile": name} if name else {}


@lru_cache(maxsize=16)
def _profile_name(data: bytes) -> str | None:
    from PIL import ImageCms

    if len(data) > MAX_PROFILE_BYTES:
        return None
    return text(ImageCms.ImageCmsProfile(io.BytesIO(data)).profile.profile_description)
