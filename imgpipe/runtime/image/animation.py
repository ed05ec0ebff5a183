"""Animations: each frame goes the way of a still picture, then all of them into one file.

A decoder hands out whole frames, laid on what was shown before, so geometry and filters need to know
nothing of it. Pages of a TIFF and the pictures of an MPO or an ICO are no animation: the first counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.runtime.errors import Reason, Rejected, megabytes
from imgpipe.runtime.image import sequence
from imgpipe.runtime.image.opening import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgpipe.runtime.image.geometry import Placement, Variant
    from imgpipe.runtime.image.opening import Opened
    from imgpipe.runtime.settings import Limits

FORMATS = frozenset({"gif", "webp", "png", "avif"})
"""The formats that move, read and written."""
SHOWN_MS = 100
"""How long a frame is shown that doesn't say; browsers do so, too."""
MOST_MS = 65_535
"""The longest that every format can say to the millisecond: a PNG's delay is a fraction of two numbers of 16 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long each frame is shown, and how often the whole; 0 plays is for ever."""

    durations_ms: tuple[int, ...]
    plays: int


def moves(opened: Opened, variant: Variant) -> bool:
    """Say whether the variant is to be an animation, as its original is."""
    both = opened.format.lower() in FORMATS and variant.format in FORMATS
    return both and variant.animated and opened.frames > 1


def frames(opened: Opened) -> Iterator[int]:
    """Put `opened` at each frame in turn and yield its number.

    A file may have fewer frames than it says: where the next one can't be found, the animation
    ends. A frame that is found and broken is another matter, for who decodes it.
    """
    first = 1 if opened.im.info.get("default_image") else 0  # APNG: a still that isn't shown
    for number in range(first, opened.frames):
        try:
            with refusals():
                opened.im.seek(number)
        except Rejected:
            if number == first:
                raise
            return
        yield number


def shown_ms(opened: Opened) -> int:
    """Return how long the frame is shown that `opened` is at; it must be loaded."""
    found = opened.im.info.get("duration")
    if not isinstance(found, int | float) or found <= 0:
        return SHOWN_MS
    return min(round(found), MOST_MS)


def plays(opened: Opened, data: bytes) -> int:
    """Return how often it is played; a GIF says how often it is repeated, if at all."""
    if opened.format == "AVIF":
        return sequence.plays(data)
    said = opened.im.info.get("loop")
    if opened.format == "GIF":
        return 1 if said is None else said and int(said) + 1
    return int(said or 0)


def check_memory(opened: Opened, placements: Iterable[Placement], limits: Limits) -> None:
    """Refuse an animation whose finished frames don't fit into memory."""
    pixels = sum(size[0] * size[1] for size in (each.canvas or each.size for each in placements))
    needed = 4 * pixels * opened.frames
    if needed > limits.max_decoded_bytes:
        raise Rejected(
            Reason.MEMORY_LIMIT,
            f"{opened.frames} frames take {megabytes(needed)}; "
            f"there are {megabytes(limits.max_decoded_bytes)}",
        )
