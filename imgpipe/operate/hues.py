"""Colours by name: the few words that people search pictures by. Pure."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = (
    "red",
    "orange",
    "yellow",
    "green",
    "teal",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "grey",
    "white",
)
_WHEEL = (
    (15, "red"),
    (42, "orange"),
    (70, "yellow"),
    (160, "green"),
    (195, "teal"),
    (255, "blue"),
    (290, "purple"),
    (340, "pink"),
    (360, "red"),
)
"""Degrees of hue, each with the name of what is below it."""
FIRST = 3
"""A palette's first colours cover most of a picture; later ones are details."""


def hues(palette: Sequence[str]) -> frozenset[str]:
    """Return the names of a palette's first colours, written `#rrggbb`; what isn't has no name."""
    return frozenset(filter(None, map(name, palette[:FIRST])))


def name(colour: str) -> str:
    """Return the name of `#rrggbb`; "" for anything else."""
    try:
        red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    except (ValueError, TypeError):
        return ""
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if value < 0.2:
        return "black"
    if saturation < 0.15:
        return "white" if value > 0.85 else "grey"
    found = next(word for below, word in _WHEEL if hue * 360 <= below)
    return "brown" if found in {"orange", "red"} and value < 0.55 and saturation < 0.75 else found
