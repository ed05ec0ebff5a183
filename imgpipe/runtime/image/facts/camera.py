"""The camera's notes from EXIF, each under a name with its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import ExifTags

from imgpipe.runtime.image.facts.values import above_zero, first, moment, number, text

if TYPE_CHECKING:
    from PIL import Image

BASE = ExifTags.Base


def camera(exif: Image.Exif) -> dict[str, Any]:
    """Return what the camera noted; what is missing or senseless is left out.

    Names and units are EXIF's (CIPA DC-008): seconds, f-number, ISO, millimetres, EV. `taken_at` is
    ISO 8601, with the offset from UTC where the camera told it.
    """
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    original = inner.get(BASE.DateTimeOriginal)
    zone = inner.get(BASE.OffsetTimeOriginal if original else BASE.OffsetTime)
    told = {
        "make": text(exif.get(BASE.Make)),
        "camera": text(exif.get(BASE.Model)),
        "software": text(exif.get(BASE.Software)),
        "artist": text(exif.get(BASE.Artist)),
        "copyright": text(exif.get(BASE.Copyright)),
        "lens": text(inner.get(BASE.LensModel)),
        "taken_at": moment(original or exif.get(BASE.DateTime), zone),
        "exposure_s": above_zero(inner.get(BASE.ExposureTime)),
        "f_number": above_zero(inner.get(BASE.FNumber)),
        "iso": above_zero(first(inner.get(BASE.ISOSpeedRatings))),
        "focal_length_mm": above_zero(inner.get(BASE.FocalLength)),
        "focal_length_35mm": above_zero(inner.get(BASE.FocalLengthIn35mmFilm)),
        "exposure_bias_ev": number(inner.get(BASE.ExposureBiasValue)),
    }
    return {name: value for name, value in told.items() if value is not None}
