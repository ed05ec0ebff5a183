"""Where a picture was taken, under a policy: a place is personal, so by default nobody is told.

    drop     nothing
    round    a cell of 0.01 degrees: about 1.1 km from north to south, less from east to west
    0 … 4    a cell of so many decimals of a degree (4 is about 11 m)
    keep     as exact as the file says, to 0.000001 degrees

The row and the outputs have a policy each: `{row: round, outputs: drop}`; one word stands for both.
Rounded, only latitude and longitude are told: altitude, direction and time would narrow the cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PIL import ExifTags

from imgpipe.runtime.image.facts.values import finite, text

if TYPE_CHECKING:
    from PIL import Image

ROUND_DECIMALS = 2
KEPT_DECIMALS = 6
Position = tuple[float, float]
"""Latitude and longitude in degrees, north and east positive (WGS 84)."""


def policy(settings: Mapping[str, Any], where: str) -> str | int:
    """Return a step's policy for `where`, `row` or `outputs`."""
    chosen = settings.get("gps", "drop")
    found = chosen.get(where, "drop") if isinstance(chosen, Mapping) else chosen
    return found if isinstance(found, int) and not isinstance(found, bool) else str(found)


def decimals(chosen: str | int) -> int | None:
    """Return how many decimals of a degree a policy tells; None for nothing at all."""
    if isinstance(chosen, int):
        return max(0, min(chosen, KEPT_DECIMALS))
    return {"round": ROUND_DECIMALS, "keep": KEPT_DECIMALS}.get(chosen)


def place(exif: Image.Exif, chosen: str | int) -> dict[str, Any]:
    """Return `gps` for the row as the policy `chosen` allows."""
    found = position(exif, chosen)
    return {"gps": {"latitude": found[0], "longitude": found[1]}} if found else {}


def position(exif: Image.Exif, chosen: str | int) -> Position | None:
    """Return the position as exact as `chosen` allows; None if there is none or it isn't told."""
    digits = decimals(chosen)
    if digits is None:
        return None
    gps, tag = exif.get_ifd(ExifTags.IFD.GPSInfo), ExifTags.GPS
    latitude = _degrees(gps.get(tag.GPSLatitude), gps.get(tag.GPSLatitudeRef), 90)
    longitude = _degrees(gps.get(tag.GPSLongitude), gps.get(tag.GPSLongitudeRef), 180)
    if latitude is None or longitude is None:
        return None
    return round(latitude, digits) + 0.0, round(longitude, digits) + 0.0


def _degrees(parts: Any, reference: Any, limit: int) -> float | None:
    """Return degrees, minutes and seconds as signed degrees; None if they make no sense."""
    if not isinstance(parts, tuple | list):
        return None
    values = [finite(part) for part in parts[:3]]
    told = [value for value in values if value is not None and value >= 0]
    if not told or len(told) != len(values):
        return None
    degrees = sum(value / 60**power for power, value in enumerate(told))
    sign = -1 if text(reference) in {"S", "W"} else 1
    return sign * degrees if degrees <= limit else None
