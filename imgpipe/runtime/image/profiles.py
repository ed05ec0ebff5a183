"""Whether a colour profile is sRGB's, by what it does: its name says nothing about its curves.

Most photographs carry such a profile. It is told by its primaries and by a few points of its curves,
without the library for colours, whose transform takes milliseconds to build. Tags are as in
ICC.1:2022, 9.2.44 and 10.6, 10.18, 10.31.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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
