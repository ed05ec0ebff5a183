"""Small pictures made for tests, whose parts can be told apart after any turn, resize or change of
mode.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 160, 30), (30, 30, 220), (220, 220, 30)
ORIENTATION = 0x0112


def corners(width: int = 400, height: int = 300) -> Image.Image:
    """Return a picture with a colour in each quarter: red, green / blue, yellow."""
    made = Image.new("RGB", (width, height), YELLOW)
    half = (width // 2, height // 2)
    made.paste(RED, (0, 0, *half))
    made.paste(GREEN, (half[0], 0, width, half[1]))
    made.paste(BLUE, (0, half[1], half[0], height))
    return made


def encoded(im: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    made = Image.open(io.BytesIO(data))
    made.load()
    return made


def turned(im: Image.Image, orientation: int) -> Image.Image:
    """Return `im` as a camera would store it that asks for `orientation` to be shown as `im`."""
    turns = Image.Transpose
    undo = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }
    return im.transpose(undo[orientation]) if orientation in undo else im


def exif(**tags: Any) -> Image.Exif:
    """Return EXIF with the tags given by number, written `t274=6`."""
    made = Image.Exif()
    for name, value in tags.items():
        made[int(name[1:])] = value
    return made


def colours_of(im: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours in the middle of the four quarters."""
    rgb = im.convert("RGB")
    places = [(x, y) for y in (1, 3) for x in (1, 3)]
    found = [rgb.getpixel((rgb.width * x // 4, rgb.height * y // 4)) for x, y in places]
    return [tuple(each) for each in found if isinstance(each, tuple)]


def near(one: tuple[int, ...], other: tuple[int, ...], most: int = 12) -> bool:
    return all(abs(a - b) <= most for a, b in zip(one, other, strict=True))


def is_upright(im: Image.Image, most: int = 12) -> bool:
    """Say whether a picture made by `corners` is the right way up."""
    pairs = zip(colours_of(im), (RED, GREEN, BLUE, YELLOW), strict=True)
    return all(near(one, other, most) for one, other in pairs)
