"""What a burst sends: the files that were named, or photographs made for it.

A made photograph has the grain and the gradients of a real one, so that it costs about as much to decode and is about
as large. Each upload is different in its bytes: a counter stands in a JPEG comment, or after the end of other formats.
"""

from __future__ import annotations

import io
import math
from itertools import cycle
from typing import TYPE_CHECKING

from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MOST_BYTES = 64_000_000
"""All pictures together are held in memory."""
GRAIN = 24
JPEG_START = b"\xff\xd8"


def made(megapixels: float) -> bytes:
    """Return a JPEG of that size, 3:2, the same each time."""
    from PIL import Image, ImageChops, ImageFilter

    height = max(8, round(math.sqrt(megapixels * 1e6 / 1.5)))
    size = (round(height * 1.5), height)
    sky = Image.linear_gradient("L").resize(size)
    hills = Image.radial_gradient("L").resize(size)
    grain = Image.frombytes("L", (256, 256), _grain()).filter(ImageFilter.GaussianBlur(0.6))
    tile = Image.new("L", size)
    for left in range(0, size[0], 256):
        for top in range(0, size[1], 256):
            tile.paste(grain, (left, top))
    bands = [ImageChops.add(each, tile, 1.3) for each in (sky, hills, ImageChops.invert(sky))]
    out = io.BytesIO()
    Image.merge("RGB", bands).save(out, "JPEG", quality=90)
    return out.getvalue()


def _grain() -> bytes:
    import random

    source = random.Random(1)  # noqa: S311 - the same picture each time
    return bytes(128 + source.randrange(-GRAIN, GRAIN) for _ in range(256 * 256))


def read(files: Sequence[Path]) -> list[tuple[str, bytes]]:
    """Return the files' endings and bytes. Raises UsageError for none, and for more than memory should hold."""
    found = [path for each in files for path in _inside(each)]
    if not found:
        raise UsageError("the pictures", "there is no file to send", hint="imgpipe load PATH")
    total = sum(path.stat().st_size for path in found)
    if total > MOST_BYTES:
        raise UsageError(
            "the pictures",
            f"{total / 1e6:,.0f} MB are too many to hold; at most {MOST_BYTES / 1e6:.0f} MB, sent again and again",
        )
    return [(path.suffix.lower(), path.read_bytes()) for path in found]


def _inside(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    return [path]


def stream(pictures: Sequence[tuple[str, bytes]], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` file names with bytes, each different from the others."""
    source = cycle(pictures)
    for number in range(count):
        suffix, data = next(source)
        yield f"{number:06}{suffix}", marked(data, number)


def marked(data: bytes, number: int) -> bytes:
    """Return `data` with a number in it that no decoder minds."""
    mark = f"imgpipe load {number}".encode()
    if data.startswith(JPEG_START):
        comment = b"\xff\xfe" + (len(mark) + 2).to_bytes(2, "big") + mark
        return JPEG_START + comment + data[2:]
    return data + mark


def mean_megapixels(pictures: Sequence[tuple[str, bytes]]) -> float | None:
    """Return the mean of the pictures' sizes in megapixels; None where there is none that opens."""
    from PIL import Image, UnidentifiedImageError

    found = []
    for _, data in pictures:
        try:
            with Image.open(io.BytesIO(data)) as image:
                found.append(image.width * image.height / 1e6)
        except (UnidentifiedImageError, OSError, ValueError):
            continue  # what isn't an image is sent all the same: to see it rejected
    return sum(found) / len(found) if found else None
