"""Files made to harm whoever decodes them: small on disk, large or endless in memory."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from tests.pictures import corners, encoded

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(count: int) -> bytes:
    """Return the zlib stream of `count` zero bytes, made without holding them."""
    packer, part = zlib.compressobj(9), bytes(1 << 20)
    packed = [
        packer.compress(part[: min(len(part), count - at)]) for at in range(0, count, 1 << 20)
    ]
    return b"".join(packed) + packer.flush()


def png(width: int, height: int, depth: int, colour: int, *extra: bytes) -> bytes:
    """Return a black PNG: `colour` 0 is grey, 2 RGB, 6 RGBA; `extra` chunks come before the pixels."""
    row = (width * {0: 1, 2: 3, 6: 4}[colour] * depth + 7) // 8 + 1
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zeros(row * height))
    return PNG + header + b"".join(extra) + pixels + chunk(b"IEND", b"")


def flooded_jpeg(side: int) -> bytes:
    """Return a JPEG of 16 x 16 that says it is `side` x `side`."""
    whole = encoded(Image.new("L", (16, 16), 7))
    at = whole.index(b"\xff\xc0")
    return whole[: at + 5] + struct.pack(">HH", side, side) + whole[at + 9 :]


def many_scans(count: int, side: int) -> bytes:
    """Return a progressive JPEG whose last scan is repeated: each costs time, none memory."""
    whole = encoded(Image.new("L", (side, side)), progressive=True)
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + scan * count + whole[-2:]


def gif(frames: int, screen: int) -> bytes:
    """Return a GIF of frames of one pixel, each of which makes a whole screen."""
    frame = b"!\xf9\4\4\1\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2D\1\0"
    head = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0)
    return head + b"\0\0\0\xff\xff\xff" + frame * frames + b";"


def tiff_in_a_circle(pages: int) -> bytes:
    """Return a TIFF whose last page says that the first comes next."""
    tags = (
        (256, 8),
        (257, 8),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 8),
        (279, 64),
    )
    size = 2 + 12 * len(tags) + 4
    made = [b"II*\0" + struct.pack("<I", 8)]
    for page in range(pages):
        following = 8 + size * ((page + 1) % pages)
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        made.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", following))
    return b"".join(made)


def lying_webp(side: int) -> bytes:
    """Return a lossless WebP whose header says `side` x `side`."""
    whole = bytearray(encoded(corners(16, 16), "WEBP", lossless=True))
    bits = int.from_bytes(whole[21:25], "little") & ~0xFFFFFFF
    whole[21:25] = (bits | (side - 1) | (side - 1) << 14).to_bytes(4, "little")
    return bytes(whole)


BOMBS = {
    "png of 2.5 gigapixels": lambda: png(50_000, 50_000, 1, 0),
    "png over its memory": lambda: png(15_500, 15_500, 8, 2),
    "png at 16 bit": lambda: png(5_000, 5_000, 16, 6),
    "png with a profile of 300 MB": lambda: png(
        64, 64, 8, 2, chunk(b"iCCP", b"x\0\0" + zeros(300 << 20))
    ),
    "png with a text of 300 MB": lambda: png(
        64, 64, 8, 2, chunk(b"zTXt", b"x\0\0" + zeros(300 << 20))
    ),
    "png with 100,000 texts": lambda: png(64, 64, 8, 2, chunk(b"tEXt", b"k\0v") * 100_000),
    "jpeg of 4.1 gigapixels": lambda: flooded_jpeg(64_250),
    "jpeg mostly missing": lambda: flooded_jpeg(7_000),
    "jpeg of 5,000 scans": lambda: many_scans(5_000, 2_000),
    "jpeg of 1,000 scans": lambda: many_scans(1_000, 1_000),
    "gif of 2,000 large frames": lambda: gif(2_000, 6_000),
    "gif of 300 large frames": lambda: gif(300, 4_000),
    "gif of 100,000 frames": lambda: gif(100_000, 1),
    "tiff in a circle": lambda: tiff_in_a_circle(300),
    "tiff that is its own next page": lambda: tiff_in_a_circle(1),
    "webp of 268 megapixels": lambda: lying_webp(16_384),
    "webp mostly missing": lambda: lying_webp(8_000),
}
