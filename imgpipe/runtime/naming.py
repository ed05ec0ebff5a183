"""Whether an upload is what its name says. Content decides what is done with it; the name is only
told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDINGS = {
    "jpeg": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "png": ("png", "apng"),
    "webp": ("webp",),
    "gif": ("gif",),
    "tiff": ("tif", "tiff"),
    "bmp": ("bmp", "dib"),
    "avif": ("avif", "avifs"),
    "heif": ("heic", "heif", "heics", "heifs", "hif"),
    "jpeg2000": ("jp2", "j2k", "jpx", "jpf", "j2c", "jpc"),
    "ico": ("ico",),
    "ppm": ("ppm", "pgm", "pbm", "pnm"),
}
"""What files of each format are called. Other endings, such as `.dng`, promise nothing here."""
_PROMISED = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}


def note(name: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return a fact for the row if `name` promises another format than `facts` tell."""
    ending = name.rpartition("/")[2].rpartition(".")[2].lower()
    found = facts.get("format")
    promised = _PROMISED.get(ending)
    if not isinstance(found, str) or found not in ENDINGS or promised in (None, found):
        return {}
    return {"note": f"named .{ending}, is {found}"}
