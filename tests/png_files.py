"""PNGs of any kind, put together by hand (ISO/IEC 15948): what no encoder here writes."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type."""
PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Adam7: from which column and row, and how far apart."""
Size = tuple[int, int]


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check


def header(size: Size, depth: int, colour: int, *, interlaced: bool = False) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced))


def joined(chunks: Iterable[bytes]) -> bytes:
    return SIGNATURE + b"".join(chunks)


def row_bytes(width: int, depth: int, colour: int) -> int:
    return -(-width * CHANNELS[colour] * depth // 8)


def random_rows(size: Size, depth: int, colour: int, chance: random.Random, most: int = 4) -> bytes:
    """Return random rows, each with a filter of its own of 0 to `most`; 5 is none that there is."""
    length = row_bytes(size[0], depth, colour)
    return b"".join(
        bytes([chance.randint(0, most)]) + chance.randbytes(length) for _ in range(size[1])
    )


def random_png(size: Size, depth: int, colour: int, *, interlaced: bool = False) -> bytes:
    """Return a PNG that is noise, the same each time."""
    chance = random.Random(1)
    parts = _passes(size) if interlaced else [size]
    rows = b"".join(random_rows(part, depth, colour, chance) for part in parts)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return joined([header(size, depth, colour, interlaced=interlaced), pixels, chunk(b"IEND")])


def _passes(size: Size) -> list[Size]:
    """Return the size of the picture that each pass holds, of those that hold any."""
    found = [
        (-(-(size[0] - left) // across), -(-(size[1] - top) // down))
        for left, top, across, down in PASSES
    ]
    return [part for part in found if min(part) > 0]
