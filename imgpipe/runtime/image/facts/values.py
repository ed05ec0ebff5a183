"""Values from strangers' metadata, made sane: printable text of a sane length, finite numbers,
moments that exist. What can't be made sane is None.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import datetime
from typing import Any

MAX_TEXT = 200
MAX_NUMBER = 1e9
_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)|Z")


def text(value: Any) -> str | None:
    """Return printable text of at most `MAX_TEXT` characters, up to the first NUL.

    EXIF says ASCII and holds UTF-8 or Latin-1; Pillow reads it as the latter.
    """
    if isinstance(value, str):
        value = value.encode("latin-1", "ignore") if _may_be_bytes(value) else value
    if isinstance(value, bytes):
        value = _decoded(value)
    if not isinstance(value, str):
        return None
    shown = "".join(char for char in value.split("\0")[0] if char.isprintable())
    whole = unicodedata.normalize("NFC", shown.encode("utf-8", "replace").decode())
    return whole.strip()[:MAX_TEXT].strip() or None


def _may_be_bytes(value: str) -> bool:
    return all(ord(char) < 256 for char in value)


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def number(value: Any) -> float | int | None:
    """Return a finite number of six digits, at most `MAX_NUMBER`; whole ones as `int`."""
    found = finite(value)
    if found is None:
        return None
    short = float(f"{found:.6g}")
    return int(short) if short == int(short) else short


def finite(value: Any) -> float | None:
    """Return a finite number of at most `MAX_NUMBER`, as exact as it is."""
    if isinstance(value, bool | str | bytes):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return found if math.isfinite(found) and abs(found) <= MAX_NUMBER else None


def above_zero(value: Any) -> float | int | None:
    """Return `number(value)` where zero means "unknown", as it does for exposure and aperture."""
    found = number(value)
    return found if found and found > 0 else None


def first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple | list) and value else value


def moment(value: Any, offset: Any = None) -> str | None:
    """Return EXIF's `2026:01:31 12:00:00` as ISO 8601, with the offset from UTC if it is told.

    Without one it is the camera's local time: EXIF seldom knows the zone.
    """
    found = _TIME.match(text(value) or "")
    if not found:
        return None
    year, month, day, hour, minute, second = found.groups()
    stamp = f"{year}-{month}-{day}T{hour}:{minute}:{second}"
    for zone in (_zone(offset), ""):
        try:
            return datetime.fromisoformat(stamp + zone).isoformat()
        except ValueError:
            continue
    return None


def _zone(offset: Any) -> str:
    found = _OFFSET.fullmatch(text(offset) or "")
    if not found:
        return ""
    return f"{found[1]}{found[2]}:{found[3]}" if found[1] else "+00:00"
