"""Rows as what a page shows: words, sizes, moments. Nothing here is escaped: the templates do that."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imgpipe.operate import images
from imgpipe.operate.placeholder import data_uri
from imgpipe.operate.times import from_iso
from imgpipe.runtime.errors import WORDS, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgpipe.operate.rows import Row

STATUS_WORDS = {
    "done": "Done",
    "in_flight": "Working",
    "failed": "Failed",
    "rejected": "Rejected",
    "removed": "Removed",
}
_UNREADABLE = re.compile(r"[%\x00-\x1f]")
_COMMAND = re.compile(r"(?:imgpipe|aws) [^,;]*")
UNSAID = "It could not be made"
SHOWN_FORMATS = ("jpeg", "png", "webp", "avif", "gif")
"""What browsers show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """An image in the gallery. `picture` is "" while there is none."""

    key: str
    name: str
    status: str
    word: str
    picture: str
    large: str
    blur: str
    why: str
    progress: str
    version: str


def tile(prefix: str, row: Row, *, discreet: bool = False) -> Tile:
    """Return a row as a tile. `discreet`: what an exception said isn't for this reader."""
    small, large = _pictures(row)
    return Tile(
        key=row["key"],
        name=images.short(prefix, row["key"]),
        status=row["status"],
        word=STATUS_WORDS.get(row["status"], str(row["status"])),
        picture=made_url(small),
        large=made_url(large),
        blur=data_uri(str(row["facts"].get("blurhash") or "")),
        why=reason(row, discreet=discreet),
        progress=_progress(row),
        version=str(row.get("updated_at") or ""),
    )


def _pictures(row: Row) -> tuple[str, str]:
    """Return the keys of the smallest output that fills a tile, and of the next larger one."""
    shown = sorted(
        (it for it in row["outputs"].values() if it.get("format") in SHOWN_FORMATS),
        key=lambda it: it.get("width") or 0,
    )
    keys = [str(it["key"]) for it in shown if (it.get("width") or 0) >= 100] or [
        str(it["key"]) for it in shown
    ]
    return (keys[0], keys[1] if len(keys) > 1 else keys[0]) if keys else ("", "")


def made_url(key: str) -> str:
    """Return where an output is to be had. Its key has a content version, so it never changes."""
    return f"/made?key={quote(key, safe='')}" if key else ""


def written(key: str) -> str:
    """Return a key as it stands in an attribute of a page: a browser reads a carriage return there as a line feed."""
    return _UNREADABLE.sub(lambda found: f"%{ord(found[0]):02X}", key)


def hinted(hint: str) -> dict[str, str]:
    """Return a hint as `command`, where it is one to be run as it stands, or else as `hint`, in words."""
    is_command = _COMMAND.fullmatch(hint)
    return {"hint": "" if is_command else hint, "command": hint if is_command else ""}


def reason(row: Row, *, discreet: bool = False) -> str:
    """Return in plain words why an image was rejected or failed."""
    if row["status"] not in {"rejected", "failed"}:
        return ""
    said = str(row.get("reason") or "")
    return UNSAID if discreet and said not in set(Reason) else plain(said)


def plain(said: str) -> str:
    """Return one of our reasons in words; what else somebody said, as it is."""
    try:
        words = WORDS[Reason(said)]
    except ValueError:
        return said or "Nobody said why"
    return words[0].upper() + words[1:]


def _progress(row: Row) -> str:
    if row["status"] != "in_flight":
        return ""
    steps = row["steps"].values()
    ended = sum(step["status"] == "done" for step in steps)
    return f"{ended} of its steps done" if ended else "Queued"


def faults(row: Row) -> list[tuple[str, list[str]]]:
    """Return what was said of each failure, with the steps that said so."""
    said: dict[str, list[str]] = {}
    for name, step in sorted(row["steps"].items()):
        error = step.get("error") or {}
        if what := error.get("message") or error.get("reason") or error.get("class"):
            said.setdefault(str(what), []).append(name)
    return list(said.items())


def facts(row: Row) -> Iterator[tuple[str, str]]:
    """Yield what is known of the picture, label by label."""
    known = row["facts"]
    if known.get("width"):
        yield "Size", f"{known['width']:,} \u00d7 {known['height']:,} px"
    yield (
        "File",
        " · ".join(filter(None, (str(known.get("format") or "").upper(), size(row["size"])))),
    )
    yield from _noted(known.get("exif") or {})
    if uploaded := from_iso(row["uploaded_at"]):
        yield "Uploaded", when(uploaded)


def _noted(noted: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if taken := noted.get("taken_at"):
        yield "Taken", str(taken).replace("T", " ")
    if camera := _camera(str(noted.get("make") or ""), str(noted.get("camera") or "")):
        yield "Camera", camera
    if noted.get("lens"):
        yield "Lens", str(noted["lens"])
    if exposure := " · ".join(_exposure(noted)):
        yield "Exposure", exposure
    for name in ("artist", "copyright", "title", "description", "software"):
        if noted.get(name):
            yield name.capitalize(), str(noted[name])


def _camera(make: str, model: str) -> str:
    """Return both, but the maker once: a NIKON CORPORATION NIKON D90 is a NIKON D90."""
    brand = make.split(" ", maxsplit=1)[0]
    return model if brand and model.startswith(brand) else f"{make} {model}".strip()


def _exposure(noted: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(seconds := noted.get("exposure_s"), int | float) and seconds > 0:
        yield f"{seconds:g} s" if seconds >= 0.3 else f"1/{round(1 / seconds)} s"
    if noted.get("f_number"):
        yield f"f/{noted['f_number']}"
    if noted.get("iso"):
        yield f"ISO {noted['iso']}"
    if noted.get("focal_length_mm"):
        yield f"{noted['focal_length_mm']} mm"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture was taken, in degrees. `narrow`: how much less than at the equator a degree of longitude is."""

    latitude: float
    longitude: float
    narrow: float


def place(row: Row) -> Place | None:
    """Return the position, where the pipeline kept it."""
    kept = row["facts"].get("gps") or {}
    try:
        latitude, longitude = float(kept["latitude"]), float(kept["longitude"])
    except (KeyError, TypeError, ValueError):
        return None
    return Place(latitude, longitude, max(math.cos(math.radians(latitude)), 0.2))


def saved(row: Row, output: Mapping[str, Any]) -> str:
    """Return how many bytes a variant has less than its original, as a share."""
    whole, part = int(row.get("size") or 0), int(output.get("bytes") or 0)
    if not whole or not part:
        return ""
    return (
        f"{min(math.floor(100 * (1 - part / whole)), 99)} % saved"
        if part < whole
        else f"{part / whole:.1f} \u00d7 the original"
    )


def size(number: object) -> str:
    """Return bytes as a person reads them: 812 B, 45.2 KB, 3.1 MB."""
    if not isinstance(number, int | float):
        return ""
    value = float(number)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def when(moment: datetime) -> str:
    """Return a moment in UTC, as all times of the console are."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def left(until: datetime, now: datetime | None = None) -> str:
    """Return how long it is until then: 13 days, 5 h, 12 min."""
    seconds = (until - (now or datetime.now(UTC))).total_seconds()
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return "moments" if seconds > 0 else "expired"
