"""What is told about a picture: its own measures, the camera's notes, the place, its colours. JSON
values only.

Metadata comes from strangers and from broken software: it is read after the pixels, in a `try` of
its own, cut to sane lengths, and never costs a good picture its variants. A place is personal: by
default it isn't told.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image

from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from imgpipe.runtime.image.opening import Opened

MAX_TEXT = 200
PLACE_DECIMALS = 2  # of a degree: about a kilometre
SAMPLE_SIDE = 100
"""Colours are read off a small copy:

on the whole picture they take hundreds of times longer and are the same.
"""

Facts = dict[str, Any]


def basic(opened: Opened) -> Facts:
    """Return what the header says, upright."""
    width, height = opened.size
    facts: Facts = {
        "format": opened.format.lower(),
        "width": width,
        "height": height,
        "mode": opened.mode,
    }
    if opened.orientation != 1:
        facts["orientation"] = opened.orientation
    if opened.frames > 1:
        facts["frames"] = opened.frames
    return facts


def of(opened: Opened, sample: Image.Image, settings: Mapping[str, Any]) -> Facts:
    """Return the facts that a step's settings ask for:

    `exif`, `gps`, `palette`. `sample` is a small copy.
    """
    facts = basic(opened)
    if settings.get("exif"):
        facts.update(_guarded(lambda: {"exif": camera(opened.im.getexif())}))
        facts.update(
            _guarded(lambda: place(opened.im.getexif(), str(settings.get("gps") or "drop")))
        )
    if settings.get("palette"):
        facts.update(colours(sample, int(settings["palette"])))
    return facts


def _guarded(read: Callable[[], Facts]) -> Facts:
    try:
        return read()
    except Exception:  # noqa: BLE001 - see the module's docstring
        return {}


def camera(exif: Image.Exif) -> Facts:
    """Return the camera's notes, each under a name with its unit; what is missing or senseless is
    left out.
    """
    base, inner = ExifTags.Base, exif.get_ifd(ExifTags.IFD.Exif)
    found = {
        "make": _text(exif.get(base.Make)),
        "camera": _text(exif.get(base.Model)),
        "software": _text(exif.get(base.Software)),
        "lens": _text(inner.get(base.LensModel)),
        "taken_at": _time(inner.get(base.DateTimeOriginal) or exif.get(base.DateTime)),
        "exposure_s": _number(inner.get(base.ExposureTime)),
        "f_number": _number(inner.get(base.FNumber)),
        "iso": _number(_first(inner.get(base.ISOSpeedRatings))),
        "focal_length_mm": _number(inner.get(base.FocalLength)),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def place(exif: Image.Exif, policy: str) -> Facts:
    """Return where the picture was taken, by `policy`:

    drop says nothing, round about a kilometre, keep exactly.
    """
    if policy not in ("round", "keep"):
        return {}
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), 90)
    longitude = _degrees(
        gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), 180
    )
    if latitude is None or longitude is None:
        return {}
    decimals = PLACE_DECIMALS if policy == "round" else 6
    return {"gps": {"latitude": round(latitude, decimals), "longitude": round(longitude, decimals)}}


def colours(sample: Image.Image, count: int) -> Facts:
    """Return the average colour and the `count` main ones, most frequent first, as `#rrggbb`."""
    small = _flat_sample(sample)
    average = resize(small, (1, 1)).getpixel((0, 0))
    reduced = small.quantize(max(1, min(count, 32)), method=Image.Quantize.MEDIANCUT)
    palette = reduced.getpalette("RGB") or []
    ranked = sorted(reduced.getcolors() or [], key=lambda each: (-each[0], each[1]))
    named = [
        _hex(palette[3 * index : 3 * index + 3]) for _, index in ranked if isinstance(index, int)
    ]
    return {"average": _hex(average), "palette": named}


def _flat_sample(sample: Image.Image) -> Image.Image:
    from imgpipe.runtime.image.colour import flatten

    scale = min(1.0, SAMPLE_SIDE / max(sample.size))
    size = (max(1, round(sample.width * scale)), max(1, round(sample.height * scale)))
    return flatten(resize(sample, size), "#ffffff").convert("RGB")


def _hex(channels: Any) -> str:
    red, green, blue = (int(value) for value in channels[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


def _text(value: Any) -> str | None:
    """Return printable text of a sane length; EXIF texts are bytes, padded, or anything at all."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    shown = "".join(char for char in value.split("\0")[0] if char.isprintable())
    return shown.encode("utf-8", "replace").decode().strip()[:MAX_TEXT] or None


def _time(value: Any) -> str | None:
    """Return `2026:01:31 12:00:00` as `2026-01-31T12:00:00`:

    local time, EXIF seldom knows the zone.
    """
    text = _text(value)
    if not text or len(text) < 19 or not text[:4].isdigit():
        return None
    return f"{text[:10].replace(':', '-')}T{text[11:19]}"


def _number(value: Any) -> float | int | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not math.isfinite(number) or abs(number) > 1e9:
        return None
    return int(number) if number == int(number) else float(f"{number:.6g}")


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value


def _degrees(parts: Any, reference: Any, limit: int) -> float | None:
    numbers = [_number(part) for part in parts or ()]
    if not numbers or None in numbers:
        return None
    degrees = sum(float(number or 0) / 60**power for power, number in enumerate(numbers[:3]))
    sign = -1 if _text(reference) in ("S", "W") else 1
    return sign * degrees if degrees <= limit else None
