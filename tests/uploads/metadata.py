"""Good pictures whose metadata is made to harm: it may cost the metadata, not the picture."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile import chunk, png, zeros
from tests.pictures import corners, encoded, exif
from tests.uploads import Upload

SCRIPT = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
STRANGE = "a\x01\x1b[31mb\x9b2Jc\u202ed\u2028e{{7*7}}[red]"
"""Control characters, a turn of direction, a break of a line, and what templates and consoles take for markup."""
XMP = b"http://ns.adobe.com/xap/1.0/\0"
TEXTS = (270, 271, 272, 305, 315, 33432)
"""ImageDescription, Make, Model, Software, Artist, Copyright."""


def segment(marker: int, data: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_texts(text: str) -> bytes:
    """Return a JPEG that says `text` wherever a camera writes words, and in its comment."""
    tags = exif(**{f"t{tag}": text for tag in TEXTS}).tobytes()
    said = segment(0xFE, text.encode())
    return with_segments(encoded(corners(), "JPEG"), segment(0xE1, tags), said)


def uploads() -> Iterator[Upload]:
    for name, data in (*_jpeg(), *_png()):
        yield Upload(name, data, "done")
    for name, data in _too_much():
        yield Upload(name, data, "either", ("metadata_too_large", "corrupt_image", "memory_limit"))


def _jpeg() -> Iterator[tuple[str, bytes]]:
    yield "scripts-in-exif.jpg", with_texts(SCRIPT)
    yield "strange-exif.jpg", with_texts(STRANGE)
    yield (
        "zero-denominator.jpg",
        _raw(2, (282, 5, 1, 38), (283, 5, 1, 46), tail=struct.pack("<IIII", 1, 0, 0, 0)),
    )
    yield "exif-in-a-circle.jpg", _raw(1, (0x8769, 4, 1, 8), following=8)
    yield "exif-of-4-gigabytes.jpg", _raw(1, (270, 2, 0xFFFFFFFF, 8))
    yield "exif-cut-short.jpg", _with(segment(0xE1, b"Exif\0\0II*\0\x08"))
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    yield (
        "xmp-reaching.jpg",
        _with(segment(0xE1, XMP + b'<?xml version="1.0"?>' + entity + b"<x>&e;</x>")),
    )
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 11))
    doctype = b'<!DOCTYPE l [<!ENTITY a0 "lol">' + laughs + b"]>"
    yield (
        "xmp-laughs.jpg",
        _with(segment(0xE1, XMP + b'<?xml version="1.0"?>' + doctype + b"<x>&a10;</x>")),
    )
    yield "200-segments.jpg", _with(*[segment(0xE1, b"x" * 65_000)] * 200)
    profile = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(60_000)) for n in range(1, 256)
    ]
    yield "profile-of-15-megabytes.jpg", _with(*profile)


def _png() -> Iterator[tuple[str, bytes]]:
    bad = chunk(b"iCCP", b"x\0\0" + zeros(1000))
    yield "bad-profile.png", png(64, 64, 8, 2, bad)
    yield "200,000-texts.png", png(64, 64, 8, 2, chunk(b"tEXt", b"k\0v") * 200_000)
    yield (
        "program-in-text.png",
        png(64, 64, 8, 2, chunk(b"tEXt", b'Comment\0<?php system("c"); ?>')),
    )


def _too_much() -> Iterator[tuple[str, bytes]]:
    each = chunk(b"zTXt", b"k\0\0" + zeros((1 << 20) - 1))
    yield "100-texts-of-a-megabyte.png", png(64, 64, 8, 2, each * 100)
    huge = chunk(b"eXIf", exif(t270="x").tobytes()[6:] + bytes(20_000_000))
    yield "exif-of-20-megabytes.png", png(64, 64, 8, 2, huge)


def _with(*segments: bytes) -> bytes:
    return with_segments(encoded(corners(), "JPEG"), *segments)


def _raw(
    count: int, *entries: tuple[int, int, int, int], following: int = 0, tail: bytes = b""
) -> bytes:
    head = b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, count)
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return _with(segment(0xE1, head + body + struct.pack("<I", following) + tail))
