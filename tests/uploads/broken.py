"""Pictures that were damaged on their way: cut short, with wrong bytes, or empty."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from tests.hostile import PNG, chunk, png
from tests.pictures import corners, encoded
from tests.uploads import Upload

DAMAGED = ("truncated_image", "corrupt_image")
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {}),
    "progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "gif": ("GIF", {}),
    "webp": ("WEBP", {}),
    "tiff": ("TIFF", {}),
    "lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "bmp": ("BMP", {}),
    "avif": ("AVIF", {"speed": 10}),
}
MAGIC = {
    "jpeg": b"\xff\xd8\xff\xe0",
    "png": PNG,
    "gif": b"GIF89a",
    "webp": b"RIFF\x10\0\0\0WEBP",
    "tiff": b"II*\0",
    "bmp": b"BM",
    "avif": b"\0\0\0\x18ftypavif",
}


def uploads() -> Iterator[Upload]:
    for kind, (name, options) in KINDS.items():
        whole = encoded(_noisy(), name, **options)
        yield from _cut(kind, whole)
        yield from _bent(kind, whole)
    for name, data in _pieces():
        yield Upload(name, data, "rejected", (*DAMAGED, "unsupported_format", "empty_file"))
    yield Upload("wrong-ancillary-crc.png", _with_text(crc=1), "either", DAMAGED)
    yield Upload("no-end.png", encoded(corners(), "PNG")[:-12], "either", DAMAGED)


def _noisy() -> Any:
    """Return a picture that doesn't get so small that a cut would leave it whole."""
    from PIL import Image

    made = random.Random(5)
    return Image.frombytes("RGB", (160, 120), made.randbytes(160 * 120 * 3))


def _cut(kind: str, whole: bytes) -> Iterator[Upload]:
    for tenths in range(1, 10):
        yield Upload(
            f"cut-{tenths}0.{kind}", whole[: len(whole) * tenths // 10], "rejected", DAMAGED
        )
    yield Upload(f"cut-last-byte.{kind}", whole[:-1], "either", DAMAGED)


def _bent(kind: str, whole: bytes) -> Iterator[Upload]:
    """Yield the file with some bytes changed: nobody knows whether it can still be read."""
    chance = random.Random(kind)
    for number in range(8):
        bytes_ = bytearray(whole)
        for _ in range(1 + 2 * number):
            bytes_[chance.randrange(4, len(bytes_))] = chance.randrange(256)
        yield Upload(f"bent-{number}.{kind}", bytes(bytes_), "either")


def _pieces() -> Iterator[tuple[str, bytes]]:
    whole = encoded(corners(), "PNG")
    yield "empty.jpg", b""
    yield "one-byte.jpg", b"\xff"
    yield "noise.png", random.Random(9).randbytes(100_000)
    yield "zeros.jpg", bytes(1 << 20)
    for kind, magic in MAGIC.items():
        yield f"magic-only.{kind}", magic
    yield "wrong-header-crc.png", whole[:30] + bytes([whole[30] ^ 0xFF]) + whole[31:]
    yield "sent-as-text.png", whole.replace(b"\r\n", b"\n")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    yield "no-pixels.png", PNG + header + chunk(b"IEND", b"")
    no_width = chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 10, 8, 2, 0, 0, 0))
    yield "no-width.png", PNG + no_width + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _with_text(crc: int) -> bytes:
    wrong = chunk(b"tEXt", b"a\0b")[:-4] + struct.pack(">I", crc)
    return png(64, 64, 8, 2, wrong)
