"""Why a decoder gave up, read off the container: files that say how long they are can be seen to be
cut short.

Decoders say "corrupt" for most of these. For the uploader the difference matters: a cut file wants
to be sent again.
"""

from __future__ import annotations

import struct

from imgpipe.runtime.errors import Reason, Rejected, megapixels
from imgpipe.runtime.image import kinds

PLAINLY = {
    Reason.TRUNCATED_IMAGE: "the file ends before its picture is complete",
    Reason.CORRUPT_IMAGE: "what is in the file makes no picture",
    Reason.METADATA_TOO_LARGE: "it carries more text than 64 MB",
}
"""What a decoder's exception comes to, said before its own words."""
_PNG_HEADER_END = 33
_WEBP_HEADER_END = 30
_LEAST = 16
"""Less is a magic number at most: there is nothing to say whether there was more."""


def explained(refusal: Rejected, data: bytes, max_pixels: int) -> Rejected:
    """Return `refusal` with a better reason, if the container tells one."""
    if refusal.reason is not Reason.CORRUPT_IMAGE:
        return refusal
    width, height = declared_size(data)
    pixels = width * height
    if pixels > max_pixels:
        return Rejected(
            Reason.TOO_MANY_PIXELS, f"{megapixels(pixels)}; the limit is {megapixels(max_pixels)}"
        )
    if is_cut_short(data):
        return Rejected(Reason.TRUNCATED_IMAGE, PLAINLY[Reason.TRUNCATED_IMAGE], refusal.detail)
    kind = kinds.unread(data)
    if not kind:
        return refusal
    return Rejected(Reason.UNSUPPORTED_FORMAT, f"{kind}, which we can't read", refusal.detail)


def is_cut_short(data: bytes) -> bool:
    """Say whether the container promises more bytes than there are."""
    if len(data) < _LEAST:
        return False
    if data[:4] == b"RIFF":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        order = "<I" if data[:2] == b"II" else ">I"
        return int(struct.unpack_from(order, data, 4)[0]) >= len(data)
    if data[4:8] == b"ftyp":
        return _boxes_end_behind(data)
    if data[4:8] == b"jP  " or data[:2] == b"\xff\x4f":
        return not data.endswith(b"\xff\xd9")  # the end of a JPEG 2000 codestream
    return data[:4] == b"\0\0\1\0" and _icons_end_behind(data)


def _icons_end_behind(data: bytes) -> bool:
    """Say whether an ICO's directory promises a picture that ends behind the file."""
    count = int.from_bytes(data[4:6], "little")
    if len(data) < 6 + 16 * count:
        return True
    entries = (struct.unpack_from("<II", data, 6 + 16 * index + 8) for index in range(count))
    return any(size + offset > len(data) for size, offset in entries)


def _boxes_end_behind(data: bytes) -> bool:
    """Walk the top-level boxes of an AVIF; a length of 0 means up to the end, 1 that 8 bytes
    follow.
    """
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 0:
            return False
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length < 8:
            return False
        at += length
    return at != len(data)


def declared_size(data: bytes) -> tuple[int, int]:
    """Return width and height as a PNG or WebP declares them; 0 x 0 where it doesn't, and for other
    formats.

    A WebP says so in the first of its three kinds of chunk (RFC 9649): 24 bits less one a side in
    VP8X, 14 bits less one in VP8L, 14 bits in VP8.
    """
    if data[:4] == b"\x89PNG" and data[12:16] == b"IHDR" and len(data) >= _PNG_HEADER_END:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if data[:4] != b"RIFF" or len(data) < _WEBP_HEADER_END:
        return 0, 0
    match data[12:16]:
        case b"VP8X":
            return _little(data[24:27]) + 1, _little(data[27:30]) + 1
        case b"VP8L":
            bits = _little(data[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF
        case _:
            return 0, 0


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def wavelet_levels(data: bytes) -> int:
    """Return how often a JPEG 2000 can be halved while it is decoded; 0 if it doesn't say.

    The number stands in the COD segment of the main header (ISO/IEC 15444-1, A.6.1).
    """
    at = data.find(b"\xff\x4f\xff\x51") + 2
    while at >= 2 and at + 10 <= len(data) and data[at] == 0xFF and data[at + 1] != 0x90:
        if data[at + 1] == 0x52:
            return min(data[at + 9], 32)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0
