"""How many frames or pages a file has, counted without decoding and never further than a limit.

Pillow's `n_frames` walks a GIF or TIFF to its end, which takes minutes on files made for it; the
other formats say the number in their header, where Pillow's answer is as good as any.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

MP_ENTRIES = 0xB002


def frames(im: Image.Image, data: bytes, limit: int) -> int:
    """Return the number of frames, or `limit + 1` when there are more.

    A broken chain ends the count.
    """
    if im.format == "GIF":
        return _gif(data, limit)
    if im.format == "TIFF":
        return _tiff(data, limit)
    if im.format == "MPO":
        return min(_views(im), limit + 1)
    return min(int(getattr(im, "n_frames", 1)), limit + 1)


def _views(im: Any) -> int:
    """Return how many views a multi-picture JPEG has: parts of a panorama, or for two eyes.

    A camera's own preview and maps of depth or gain aren't any (CIPA DC-007, 5.2.3.3).
    """
    entries = (im.mpinfo or {}).get(MP_ENTRIES) or ()
    kinds = [str(entry.get("Attribute", {}).get("MPType", "")) for entry in entries]
    return max(1, sum(kind.startswith("Multi-Frame") for kind in kinds))


def scans(data: bytes) -> int:
    """Return the number of scans in a JPEG.

    One if the first holds all components of a sequential JPEG: decoders stop behind it. Otherwise
    the markers are counted; coded data can't hold one, metadata could, and would count too.
    """
    return 1 if _one_scan(data) else data.count(b"\xff\xda")


def _one_scan(data: bytes) -> bool:
    """Walk the segments up to the first scan; counting markers would read the whole file."""
    at, components = 2, 0
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            return 0 < components == data[at + 4]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            components = data[at + 9] if marker <= 0xC1 else 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _gif(data: bytes, limit: int) -> int:
    count, at = 0, 13 + _colours(data, 10)
    while count <= limit and at < len(data):
        if data[at] == 0x2C:
            count += 1
            at = _skip_blocks(data, at + 10 + _colours(data, at + 9) + 1)
        elif data[at] == 0x21:
            at = _skip_blocks(data, at + 2)
        elif data[at] == 0x3B:
            break
        else:
            at += 1  # Pillow too looks for the next block behind garbage
    return max(count, 1)


def _colours(data: bytes, flags_at: int) -> int:
    flags = data[flags_at] if flags_at < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1


def _tiff(data: bytes, limit: int) -> int:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    entries, entry_size, pointer = (
        (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")
    )
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(pointer, data, 8 if big else 4)
        while at and at not in seen and len(seen) <= limit:
            (count,) = struct.unpack_from(entries, data, at)
            seen.add(at)
            (at,) = struct.unpack_from(
                pointer, data, at + struct.calcsize(entries) + count * entry_size
            )
    except struct.error:
        pass  # the chain is cut; the decoder will say so if it matters
    return max(len(seen), 1)
