"""Small files that are large or endless once opened."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile import BOMBS, png
from tests.uploads import Upload

TOLD = {
    "png of 2.5 gigapixels": ("too_many_pixels",),
    "png over its memory": ("too_many_pixels",),
    "jpeg of 4.1 gigapixels": ("too_many_pixels",),
    "jpeg of 5,000 scans": ("time_limit",),
    "gif of 2,000 large frames": ("too_many_frames",),
    "gif of 100,000 frames": ("too_many_frames",),
    "webp of 268 megapixels": ("too_many_pixels",),
}
"""What must be refused, and why. Of the others nobody knows: they have one end all the same."""


def uploads() -> Iterator[Upload]:
    for name, make in BOMBS.items():
        end = "rejected" if name in TOLD else "either"
        yield Upload(f"{name}.{name.split()[0]}", make(), end, TOLD.get(name, ()))
    yield Upload("49-megapixels.png", png(7_000, 7_000, 8, 2), "done")
