"""What in a folder is meant to be uploaded: images, and not the notes and hidden files beside them.

A file that is called like an image is always meant: if it is none, the pipeline says why. Any other
is one if it begins like one.
"""

from __future__ import annotations

from imgpipe.operate.upload import plain_paths
from imgpipe.operate.upload.media_types import content_type

FIRST_BYTES = 256
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
"""What Windows leaves in folders of photographs; what others leave is hidden."""


def hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LITTER


def reason_not(path: str) -> str:
    """Return why a file in a folder is none to upload; nothing if it is one, or can't be read."""
    if hidden(plain_paths.name(path)):
        return "hidden"
    if content_type(path).startswith("image/"):
        return ""
    try:
        with plain_paths.opened(path) as file:
            first = file.read(FIRST_BYTES)
    except OSError:
        return ""
    return "" if _begins_like_an_image(first) else "not an image"


def _begins_like_an_image(first: bytes) -> bool:
    from imgpipe.runtime.errors import Rejected
    from imgpipe.runtime.image.formats import sniff

    try:
        sniff(first)
    except Rejected:
        return False
    return True
