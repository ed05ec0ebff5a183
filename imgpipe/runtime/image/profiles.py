"""Which colour profile a picture is in, and whether it is sRGB's, by what it does: its name says
nothing about its curves.

Most photographs carry such a profile. It is told by its primaries and by a few points of its curves,
without the library for colours, whose transform takes milliseconds to build. Tags are as in
ICC.1:2022, 9.2.44 and 10.6, 10.18, 10.31.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

    Curve = Callable[[float], float]

PRIMARIES = {
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.7141),
}
"""Of sRGB, adapted to D50 (IEC 61966-2-1)."""
NEAR = 0.002
"""How far off a primary may be: less than half a level of eight bits."""
LEVELS = (1, 5, 10, 20, 40, 64, 90, 128, 160, 192, 224, 255)
"""Where a curve is looked at. It may be off by one level."""
MOST_TAGS = 100
_LUTS = frozenset({b"A2B0", b"A2B1", b"D2B0"})
"""Tables that come before the primaries."""


def is_srgb(profile: bytes) -> bool:
    """Say whether RGB in `profile` is sRGB, to a level of eight bits; False if it can't be read."""
    try:
        tags = _tags(profile)
        return (
            profile[16:24] == b"RGB XYZ "
            and not _LUTS & tags.keys()
            and all(_is_near(tags[name], xyz) for name, xyz in PRIMARIES.items())
            and all(map(_is_gamma, {tags[name] for name in (b"rTRC", b"gTRC", b"bTRC")}))
        )
    except (KeyError, ValueError, IndexError, OverflowError, ZeroDivisionError, struct.error):
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > MOST_TAGS:
        raise ValueError(count)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count))
    return {name: profile[at : at + length] for name, at, length in entries}


def _is_near(tag: bytes, xyz: tuple[float, ...]) -> bool:
    found = struct.unpack_from(">3i", tag, 8)
    return all(abs(part / 65_536 - wanted) < NEAR for part, wanted in zip(found, xyz, strict=True))


def _is_gamma(tag: bytes) -> bool:
    to_light = _parametric(tag) if tag[:4] == b"para" else _table(tag)
    return all(abs(255 * _from_light(to_light(level / 255)) - level) <= 1 for level in LEVELS)


def _from_light(value: float) -> float:
    return value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def _parametric(tag: bytes) -> Curve:
    """Return a curve that is given as a formula: of the five kinds those that sRGB is written in."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind not in (3, 4):
        raise ValueError(kind)
    numbers = [part / 65_536 for part in struct.unpack_from(f">{kind * 2 - 1}i", tag, 12)]
    g, a, b, c, d, e, f = (*numbers, 0.0, 0.0)[:7]
    return lambda x: (a * x + b) ** g + e if x >= d else c * x + f


def _table(tag: bytes) -> Curve:
    """Return a curve that is given by its points: of one point, or none, it is a power of light."""
    kind, count = struct.unpack_from(">4s4xI", tag)
    if kind != b"curv" or count < 2:
        raise ValueError(kind)

    def to_light(x: float) -> float:
        at = min(int(x * (count - 1)), count - 2)
        low, high = struct.unpack_from(">2H", tag, 12 + 2 * at)
        return float(low + (high - low) * (x * (count - 1) - at)) / 65_535

    return to_light


ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""The primaries of Adobe RGB (1998), adapted to D50 (its specification of 2005-05, 4.3.5.2)."""
_ADOBE_GAMMA = 563
"""2.19921875, in 256ths (4.3.4.2)."""
_D50 = (0.9642, 1.0, 0.8249)
_EXIF, _INTEROPERABILITY, _COLOUR_SPACE = 0x8769, 0xA005, 0xA001
_UNCALIBRATED = 65_535


def of(im: Image.Image) -> bytes | None:
    """Return the profile that a picture is in: the one in the file or, without, Adobe RGB where a
    camera's notes say so (DCF 2.0, its optional colour space: R03). None is sRGB.
    """
    found: bytes | None = im.info.get("icc_profile")
    return found or (_adobe() if im.format == "JPEG" and _is_adobe(im) else None)


def in_jpeg_2000(data: bytes) -> bytes | None:
    """Return the profile of a JPEG 2000, which Pillow doesn't read: in the header's box for colours, behind
    a method (2: restricted, 3: any profile), a precedence and an approximation (ISO/IEC 15444-1, I.5.3.3).
    """
    header = next((body for name, body in _boxes(data) if name == b"jp2h"), b"")
    colours = (body for name, body in _boxes(header) if name == b"colr")
    return next((body[3:] for body in colours if body[:1] in (b"\2", b"\3")), None)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each box, up to one that says how long it is in another way."""
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < 8:
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length


def _is_adobe(im: Image.Image) -> bool:
    try:
        exif = im.getexif()
        if exif.get_ifd(_EXIF).get(_COLOUR_SPACE) != _UNCALIBRATED:
            return False
        return str(exif.get_ifd(_INTEROPERABILITY).get(1, "")).startswith("R03")
    except Exception:  # noqa: BLE001 - broken metadata must not cost a good picture
        return False


@lru_cache(maxsize=1)
def _adobe() -> bytes:
    """Return a profile of our own making with Adobe RGB's primaries and curve (ICC.1:2001-04)."""
    name = b"compatible with Adobe RGB (1998)\0"
    curve = struct.pack(">4s4xIH2x", b"curv", 1, _ADOBE_GAMMA)
    tags = {
        b"desc": struct.pack(">4s4xI", b"desc", len(name)) + name + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(_D50),
        **{bytes([c]) + b"XYZ": _xyz(xyz) for c, xyz in zip(b"rgb", ADOBE, strict=True)},
        **{bytes([c]) + b"TRC": curve for c in b"rgb"},
    }
    directory, bodies = struct.pack(">I", len(tags)), b""
    for tag, body in tags.items():
        at = 132 + 12 * len(tags) + len(bodies)
        directory += struct.pack(">4sII", tag, at, len(body))
        bodies += body + bytes(-len(body) % 4)
    head = struct.pack(
        ">I4x4s4s4s4s12x4s28x3i48x",
        132 + 12 * len(tags) + len(bodies),
        b"\2\x10\0\0",
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
        *_s15(_D50),
    )
    return head + directory + bodies


def _xyz(xyz: tuple[float, float, float]) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *_s15(xyz))


def _s15(numbers: tuple[float, float, float]) -> list[int]:
    return [round(part * 65_536) for part in numbers]
