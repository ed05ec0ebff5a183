"""The lane for what is too much for a step's function: decided before the work, from size and first bytes.

The number of bytes is known when the object is opened; the number of pixels stands in the file's head. A head that
says nothing keeps the upload where it is: the limits refuse what really is too much.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.runtime.settings import Lane
    from imgpipe.runtime.store import Source

HEAD_BYTES = 262_144
"""Enough for the notes and profiles that cameras write before the picture's size."""


def is_for(lane: Lane, source: Source) -> bool:
    """Whether an upload goes to the lane."""
    if lane.max_bytes:
        return source.size > lane.max_bytes
    return bool(lane.max_pixels) and pixels(source.head(HEAD_BYTES)) > lane.max_pixels


def pixels(head: bytes) -> int:
    """Return width times height as a file's first bytes tell them; 0 if they don't. Nothing is decoded."""
    try:
        from PIL import Image
    except ImportError:  # a function of a user's own, without the image libraries
        return 0
    allowed, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # too many is what is asked for
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a head: it is cut
            with Image.open(io.BytesIO(head)) as image:
                return image.width * image.height
    except Exception:  # noqa: BLE001 - what can't be told here is told by the work itself
        return 0
    finally:
        Image.MAX_IMAGE_PIXELS = allowed
