"""All the work on one upload for all steps of a function:

one decode, however many steps and variants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgpipe.runtime.errors import Rejected
from imgpipe.runtime.image import facts
from imgpipe.runtime.image.decoding import decode
from imgpipe.runtime.image.geometry import Placement, Size, Variant, base_size, place
from imgpipe.runtime.image.opening import Opened, calm, open_image
from imgpipe.runtime.image.rendering import render
from imgpipe.runtime.image.resampling import resize
from imgpipe.runtime.image.structure import explained
from imgpipe.runtime.made import Made, Picture

if TYPE_CHECKING:
    from PIL import Image

    from imgpipe.runtime.settings import Limits

Settings = Mapping[str, Any]
Placed = list[tuple[Variant, Placement]]


def make(data: bytes, wanted: Mapping[str, Settings], limits: Limits) -> dict[str, Made]:
    """Make the variants and facts of every step in `wanted` (its settings as in pipeline.yaml).

    Raises Rejected when the upload is no image, is broken, or is over a limit.
    """
    with calm(data):
        try:
            return _made(open_image(data, limits), data, wanted, limits)
        except Rejected as refusal:
            raise explained(refusal, data, limits.max_pixels) from refusal


def _made(
    opened: Opened, data: bytes, wanted: Mapping[str, Settings], limits: Limits
) -> dict[str, Made]:
    placed = {step: _placed(settings, opened) for step, settings in wanted.items()}
    side = facts.side(wanted.values())
    sample = Variant(name="", width=side, height=side)
    everything = [
        place(sample, opened.size),
        *(each for some in placed.values() for _, each in some),
    ]
    base = decode(opened, base_size(everything, opened.size), limits)
    plain = {step for step in wanted if not _filters(wanted[step])}
    shared = _render_plain(base, {step: placed[step] for step in plain}, opened.size)
    return {
        step: Made(
            variants=shared[step]
            if step in plain
            else _filtered(base, settings, placed[step], opened.size),
            facts=facts.of(opened, base, settings, data),
            preview=facts.preview(base) if settings.get("tags") == "rekognition" else b"",
        )
        for step, settings in wanted.items()
    }


def _placed(settings: Settings, opened: Opened) -> Placed:
    declared = settings.get("variants") or {}
    variants = [
        Variant.of(name, chosen or {}, _kept(opened, settings, chosen or {}))
        for name, chosen in declared.items()
    ]
    return [(variant, place(variant, opened.size)) for variant in variants]


def _kept(opened: Opened, settings: Settings, chosen: Mapping[str, Any]) -> bytes:
    """Return the EXIF that a variant keeps: none, unless it asks."""
    metadata = str(chosen.get("metadata") or "strip")
    if metadata == "strip":
        return b""
    from imgpipe.runtime.image.facts import kept, place

    return kept.exif_for(opened.im, metadata, place.policy(settings, "outputs"))


def _filters(settings: Settings) -> Sequence[Mapping[str, Any]]:
    return settings.get("filters") or ()


def _render_plain(
    base: Image.Image, placed: Mapping[str, Placed], original: Size
) -> dict[str, dict[str, Picture]]:
    """Render the variants of all steps without filters in one cascade; names are unique in a
    pipeline.
    """
    made = render(base, [each for some in placed.values() for each in some], original)
    return {
        step: {variant.name: made[variant.name] for variant, _ in some}
        for step, some in placed.items()
    }


def _filtered(
    base: Image.Image, settings: Settings, placed: Placed, original: Size
) -> Mapping[str, Picture]:
    """Apply a step's filters once, at the size of its largest variant, and make the smaller ones
    from that.
    """
    from imgpipe.runtime.image import filters  # only functions that filter pay for the import

    size = base_size([placement for _, placement in placed], original)
    size = (min(size[0], base.width), min(size[1], base.height))
    return render(filters.apply(resize(base, size), _filters(settings)), placed, original)
