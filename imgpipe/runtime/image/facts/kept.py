"""What of the original's metadata goes into a variant: nothing, unless its `metadata` asks.

    strip        nothing
    copyright    EXIF's Artist and Copyright; where it has neither, IPTC's by-line and notice
    all          the camera's notes too, and the position as far as `gps: {outputs: …}` allows

EXIF is written anew from a list of tags that are known to be harmless. Never copied: the embedded
thumbnail (it shows what was cropped away), the maker's note and XMP (serial numbers, faces, places,
editing history), the orientation (the pixels are upright), sizes, and IPTC's places and contacts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image, TiffImagePlugin

from imgpipe.runtime.image.facts import place
from imgpipe.runtime.image.facts.values import finite, first, text

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE, GPS = ExifTags.Base, ExifTags.GPS
COPYRIGHT = (BASE.Artist, BASE.Copyright)
NOTES = (BASE.ImageDescription, BASE.Make, BASE.Model, BASE.Software, BASE.DateTime)
INNER = (
    BASE.ExposureTime,
    BASE.FNumber,
    BASE.ExposureProgram,
    BASE.ISOSpeedRatings,
    BASE.DateTimeOriginal,
    BASE.DateTimeDigitized,
    BASE.OffsetTime,
    BASE.OffsetTimeOriginal,
    BASE.OffsetTimeDigitized,
    BASE.ExposureBiasValue,
    BASE.MeteringMode,
    BASE.Flash,
    BASE.FocalLength,
    BASE.FocalLengthIn35mmFilm,
    BASE.WhiteBalance,
    BASE.LensMake,
    BASE.LensModel,
)
IPTC = {BASE.Artist: (2, 80), BASE.Copyright: (2, 116)}
"""By-line and copyright notice (IPTC IIM 4.2, record 2)."""
GPS_VERSION = bytes((2, 3, 0, 0))
Read = tuple[dict[int, Any], dict[int, Any]]


def exif_for(im: Image.Image, metadata: str, gps: str | int) -> bytes:
    """Return the EXIF block for a variant with the setting `metadata`; empty when nothing is kept.

    Never raises: what can't be read isn't kept.
    """
    if metadata not in ("copyright", "all"):
        return b""
    try:
        return _block(im, gps if metadata == "all" else "drop", notes=metadata == "all")
    except Exception:  # noqa: BLE001 - metadata must not cost a good picture
        return b""


def _block(im: Image.Image, gps: str | int, *, notes: bool) -> bytes:
    found = im.getexif()
    made = Image.Exif()
    for tag in (*COPYRIGHT, *(NOTES if notes else ())):
        _keep(made, tag, found.get(tag))
    if not any(tag in made for tag in COPYRIGHT):
        for tag, value in _iptc(im).items():
            _keep(made, tag, value)
    if notes:
        inner, kept = found.get_ifd(ExifTags.IFD.Exif), made.get_ifd(ExifTags.IFD.Exif)
        for tag in INNER:
            _keep(kept, tag, inner.get(tag))
    where = place.position(found, gps)
    if where:
        made.get_ifd(ExifTags.IFD.GPSInfo).update(_gps(where))
    empty = not len(made) and not where
    return b"" if empty else made.tobytes()


def _keep(into: Any, tag: int, value: Any) -> None:
    """Keep a text or a number; anything else is left out."""
    if isinstance(value, str | bytes):
        told = text(value)
        if told:
            into[tag] = told if told.isascii() else told.encode()
        return
    one = first(value)
    number = finite(one)
    if number is not None:
        into[tag] = one if isinstance(one, int) else _rational(number)


def _rational(number: float) -> TiffImagePlugin.IFDRational:
    return TiffImagePlugin.IFDRational(round(number * 1_000_000), 1_000_000)


def _gps(where: place.Position) -> Mapping[int, Any]:
    latitude, longitude = where
    return {
        GPS.GPSVersionID: GPS_VERSION,
        GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S",
        GPS.GPSLatitude: (_rational(abs(latitude)), _rational(0), _rational(0)),
        GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W",
        GPS.GPSLongitude: (_rational(abs(longitude)), _rational(0), _rational(0)),
    }


def _iptc(im: Image.Image) -> dict[int, Any]:
    from PIL import ImageFile, IptcImagePlugin

    if not isinstance(im, ImageFile.ImageFile):
        return {}
    found = IptcImagePlugin.getiptcinfo(im) or {}
    told = {}
    for tag, record in IPTC.items():
        value = found.get(record)
        told[int(tag)] = value[0] if isinstance(value, list) and value else value
    return told
