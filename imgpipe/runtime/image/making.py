"""All the work on one upload for all steps of a function:

one decode, however many steps and variants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.runtime.errors import Rejected
from imgpipe.runtime.image import animation, facts, pages, profiles
from imgpipe.runtime.image.colour import PLAIN, without_empty_alpha
from imgpipe.runtime.image.decoding import in_srgb, native
from imgpipe.runtime.image.encoding import encode, encode_frames
from imgpipe.runtime.image.geometry import Size, Variant, base_scale, place, scaled
from imgpipe.runtime.image.opening import Opened, calm, open_image
from imgpipe.runtime.image.resampling import sharing, smaller
from imgpipe.runtime.image.structure import explained
from imgpipe.runtime.image.works import Settings, Work, works
from imgpipe.runtime.made import Made, Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from PIL import Image

    from imgpipe.runtime.settings import Limits

SAMPLE_GAP = 2
"""How many times larger than what facts measure the copy must be that they are given."""


def make(
    data: bytes, wanted: Mapping[str, Settings], limits: Limits, folder: Path | None = None
) -> dict[str, Made]:
    """Make the variants and facts of every step in `wanted` (its settings as in pipeline.yaml).

    `folder` is the handler's: it holds the filters and pictures of a project's own. Raises Rejected
    when the upload is no image, is broken, or is over a limit; ValueError for wrong settings.
    """
    pages.keep(limits.memory_bytes)
    with calm(data, limits):
        try:
            return _made(open_image(data, limits), data, wanted, limits, folder)
        except Rejected as refusal:
            raise explained(refusal, data, limits.max_pixels) from refusal


def _made(
    opened: Opened,
    data: bytes,
    wanted: Mapping[str, Settings],
    limits: Limits,
    folder: Path | None,
) -> dict[str, Made]:
    declared = works(wanted, opened, folder)
    for work in declared:
        work.check_memory(limits)
    side = facts.side(wanted.values())
    stored = native(opened, _base_size(declared, side, opened.size), limits)
    base = in_srgb(stored, opened)
    looked = [work.looking_at(base) for work in declared]
    moving = {name for work in looked for name in _moving(work, opened)}
    with sharing():
        pictures = _stills([work.without(moving) for work in looked], opened, stored, base)
        sample = smaller(base, SAMPLE_GAP * side)
    told = {step: facts.of(opened, sample, settings, data) for step, settings in wanted.items()}
    if moving:
        pictures |= _animations([work.only(moving) for work in looked], opened, data, limits)
    return {
        step: Made(
            variants={name: pictures[name] for name in settings.get("variants") or ()},
            facts=told[step],
            preview=facts.preview(base) if settings.get("tags") == "rekognition" else b"",
        )
        for step, settings in wanted.items()
    }


def _base_size(declared: Sequence[Work], side: int, original: Size) -> Size:
    """Return the size of the upright picture that serves all works, and facts that need `side`."""
    sample = Variant(name="", width=side, height=side)
    scales = [work.scale() for work in declared]
    return _sized(declared, max(base_scale([place(sample, original)]), *scales, 0), original)


def _sized(chosen: Sequence[Work], scale: float, original: Size) -> Size:
    """Return the size of the whole picture at `scale`: that of the variant which asks for it, where one does.

    Rounded anew it could be a pixel wider, and be resampled twice.
    """
    asked = (at for work in chosen if work.original == original for _, at in work.placed)
    exact = (at.size for at in asked if at.scale() == scale and at.whole(original))
    return next(exact, scaled(original, scale))


def _moving(work: Work, opened: Opened) -> list[str]:
    return [variant.name for variant, _ in work.placed if animation.moves(opened, variant)]


def _stills(
    chosen: Sequence[Work], opened: Opened, stored: Image.Image, base: Image.Image
) -> dict[str, Picture]:
    return {
        variant.name: encode(pixels, variant, _profile(work, opened))
        for work in chosen
        for variant, pixels in work.render(_in_colours(work, opened, stored, base))
    }


def _animations(
    chosen: Sequence[Work], opened: Opened, data: bytes, limits: Limits
) -> dict[str, Picture]:
    """Make the variants that move: the frames of all of them in one pass over the file."""
    placed = [each for work in chosen for each in work.placed]
    animation.check_memory(opened, [placement for _, placement in placed], limits)
    size = _sized(chosen, max(work.scale() for work in chosen), opened.size)
    strips: dict[str, list[Image.Image]] = {variant.name: [] for variant, _ in placed}
    durations_ms: list[int] = []
    for _ in animation.frames(opened):
        stored = native(opened, size, limits)
        durations_ms.append(animation.shown_ms(opened))
        base = in_srgb(stored, opened)
        for work in chosen:
            for variant, pixels in work.render(_in_colours(work, opened, stored, base)):
                strips[variant.name].append(pixels)
    often = animation.plays(opened, data)
    timing = animation.Timing(durations_ms=tuple(durations_ms), plays=often)
    return {
        variant.name: encode_frames(strips[variant.name], timing, variant, _profile(work, opened))
        for work in chosen
        for variant, _ in work.placed
    }


def _profile(work: Work, opened: Opened) -> bytes | None:
    return profiles.of(opened.im) if work.keeps_profile else None


def _in_colours(work: Work, opened: Opened, stored: Image.Image, base: Image.Image) -> Image.Image:
    """Return the picture in its own colours for who keeps them; CMYK is for printers alone."""
    kept = work.keeps_profile and stored.mode in PLAIN
    return without_empty_alpha(stored, grey=opened.grey) if kept else base
