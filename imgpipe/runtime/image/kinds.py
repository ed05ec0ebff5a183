"""What lies in a container that we read, but in a kind that we don't: a camera's raw file in a TIFF,
a TIFF of 14 bits, a JPEG-LS. Such a file isn't damaged, and sending it again doesn't help.

A raw file's first page is a small preview, which a decoder takes for the picture.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RAW = "a camera's raw file: send a JPEG, or a TIFF made of it"
RAW_MAGIC = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb")
"""Olympus's ORF, Panasonic's RW2, Fujifilm's RAF, Sigma's X3F."""
SUBFILE, PHOTOMETRIC, MAKE, SUB_IFDS, DNG_VERSION = 254, 262, 271, 330, 50706
RAW_PIXELS = frozenset({32803, 34892})
"""PhotometricInterpretation of a sensor's own pixels: colour filter array, linear raw (DNG 1.7)."""
REDUCED = 1
MOST_SUB_IFDS = 16
UNREAD_COMPRESSIONS = {
    34887: "LERC",
    34892: "lossy DNG JPEG",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
"""TIFF's Compression of those that a usual libtiff is built without."""


def is_raw(data: bytes) -> bool:
    """Say whether the file is a camera's own: DNG, NEF, CR2, CR3, ARW, ORF, RW2, …, by its content."""
    if data.startswith(RAW_MAGIC) or data[4:12] == b"ftypcrx ":
        return True
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return False
    return data[8:10] == b"CR" or _is_raw_tiff(data)


def _is_raw_tiff(data: bytes) -> bool:
    """Say so of a TIFF that has DNG's version, a sensor's pixels, or a camera's name at a page that
    says itself that it is only a reduced copy.
    """
    order = "<" if data[:2] == b"II" else ">"
    first = dict(_entries(data, order, _long(data, order, 4)))
    if DNG_VERSION in first or _pixels(data, order, first) in RAW_PIXELS:
        return True
    if MAKE in first and SUBFILE in first:
        return bool(_long(data, order, first[SUBFILE] + 8) & REDUCED)
    return any(
        _pixels(data, order, dict(_entries(data, order, at))) in RAW_PIXELS
        for at in _sub_ifds(data, order, first)
    )


def _entries(data: bytes, order: str, at: int) -> Iterator[tuple[int, int]]:
    """Yield each tag of the directory at `at` with the place of its entry, as far as there are any."""
    for entry in range(at + 2, at + 2 + 12 * _short(data, order, at), 12):
        if entry + 12 > len(data):
            return
        yield _short(data, order, entry), entry


def _pixels(data: bytes, order: str, entries: dict[int, int]) -> int:
    return _short(data, order, entries[PHOTOMETRIC] + 8) if PHOTOMETRIC in entries else -1


def _sub_ifds(data: bytes, order: str, entries: dict[int, int]) -> list[int]:
    """Return where the directories below the first one are."""
    if SUB_IFDS not in entries:
        return []
    entry = entries[SUB_IFDS]
    count = min(_long(data, order, entry + 4), MOST_SUB_IFDS)
    at = entry + 8 if count == 1 else _long(data, order, entry + 8)
    return [_long(data, order, at + 4 * index) for index in range(count)]


def _short(data: bytes, order: str, at: int) -> int:
    return int(struct.unpack_from(f"{order}H", data, at)[0]) if at + 2 <= len(data) else 0


def _long(data: bytes, order: str, at: int) -> int:
    return int(struct.unpack_from(f"{order}I", data, at)[0]) if at + 4 <= len(data) else 0


def unread(data: bytes) -> str:
    """Return what kind a file is that no decoder here takes, after it was refused; "" for the rest."""
    if data[:2] in (b"II", b"MM"):
        return _unread_tiff(data)
    return "a JPEG-LS" if data[:2] == b"\xff\xd8" and _is_jpeg_ls(data) else ""


def _unread_tiff(data: bytes) -> str:
    from PIL import TiffImagePlugin

    try:
        im = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    except SyntaxError as error:
        return _unread_pixels(error)
    except Exception:  # noqa: BLE001 - whatever it is, it is damaged
        return ""
    with im:
        name = UNREAD_COMPRESSIONS.get(im.tag_v2.get(259, 1))
    return f"a TIFF packed with {name}" if name else ""


def _unread_pixels(error: SyntaxError) -> str:
    """Return the kind of TIFF that Pillow has no mode for: it tells by the key that it looked for."""
    key = error.__cause__.args[0] if isinstance(error.__cause__, KeyError) else None
    if not isinstance(key, tuple) or len(key) != 6:
        return ""
    kinds = {1: "", 2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
    bits = key[4]
    if not bits or not all(isinstance(each, int) for each in bits):
        return ""
    sample = kinds.get(key[2][0] if key[2] else 1, "")
    channels = f"{len(bits)} channels" if len(bits) > 1 else "one channel"
    return f"a TIFF of {channels} of {max(bits)} {sample}bits"


def _is_jpeg_ls(data: bytes) -> bool:
    """Say whether the frame is JPEG-LS's, SOF55 (ITU-T T.87): it comes before any coded data."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xF7:
            return True
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False
