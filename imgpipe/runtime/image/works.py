"""What is to be made, sorted by what can share pixels.

Variants of steps without filters share one cascade, whatever step they belong to; a step with filters
has its own. A variant that keeps its profile can't share with one in sRGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imgpipe.runtime.errors import Reason, Rejected, megabytes
from imgpipe.runtime.image import profiles
from imgpipe.runtime.image.colour import can_keep, is_grey
from imgpipe.runtime.image.geometry import Placement, Size, Variant, base_scale, place, scaled
from imgpipe.runtime.image.rendering import render
from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL import Image

    from imgpipe.runtime.image.filters import Chain
    from imgpipe.runtime.image.opening import Opened
    from imgpipe.runtime.settings import Limits

Settings = Mapping[str, Any]
SLANTED_GAP = 1.5
"""How many times larger than the largest variant a picture is turned that isn't turned by quarters:
turning blends neighbours, which nobody sees when it is made smaller afterwards.
"""
TURNING_BYTES_PER_PIXEL = 12
"""An RGBA picture, its colours weighed by alpha, and what is turned of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Variants that share filters and colours.

    `upright` is the picture's own size; `original` the one that placements are in, after the
    filters' turns.
    """

    keeps_profile: bool
    chain: Chain | None
    upright: Size
    original: Size
    placed: tuple[tuple[Variant, Placement], ...]

    def scale(self) -> float:
        """Return the share of the picture's own size that it must have for this; at most 1."""
        scale = base_scale(placement for _, placement in self.placed)
        return min(1.0, scale * SLANTED_GAP) if self.chain and self.chain.slants() else scale

    def render(self, base: Image.Image) -> Iterator[tuple[Variant, Image.Image]]:
        """Yield each variant with its finished pixels; `base` is the upright picture."""
        source = self._filtered(base)
        for variant, pixels in render(source, self.placed, self.original):
            yield variant, self.chain.finish(pixels) if self.chain else pixels

    def looking_at(self, base: Image.Image) -> Work:
        """Return the work with the crops that only the picture can tell."""
        if not any(variant.looks for variant, _ in self.placed):
            return self
        from imgpipe.runtime.image import attention

        seen = self._turned(base)
        return replace(
            self,
            placed=tuple(
                (variant, place(variant, self.original, attention.focus(seen, at, self.original)))
                if variant.looks
                else (variant, at)
                for variant, at in self.placed
            ),
        )

    def only(self, chosen: set[str]) -> Work:
        """Return the work on the variants of these names."""
        return replace(self, placed=tuple(each for each in self.placed if each[0].name in chosen))

    def without(self, left_out: set[str]) -> Work:
        return self.only({variant.name for variant, _ in self.placed} - left_out)

    def check_memory(self, limits: Limits) -> None:
        """Refuse a turn whose canvas doesn't fit: a strip laid aslant needs a square around it."""
        if not self.chain or not self.chain.turns:
            return
        width, height = self.chain.size(self._needed())
        needed = width * height * TURNING_BYTES_PER_PIXEL
        if needed > limits.max_decoded_bytes:
            raise Rejected(
                Reason.MEMORY_LIMIT,
                f"turning it takes {megabytes(needed)}; "
                f"there are {megabytes(limits.max_decoded_bytes)}",
            )

    def _filtered(self, base: Image.Image) -> Image.Image:
        """Apply the filters once, at the size of the largest variant."""
        return self.chain.tone(self._turned(base)) if self.chain else base

    def _turned(self, base: Image.Image) -> Image.Image:
        if not self.chain:
            return base
        width, height = self._needed()
        return self.chain.turn(resize(base, (min(width, base.width), min(height, base.height))))

    def _needed(self) -> Size:
        """Return how large the upright picture must be before its turns."""
        return scaled(self.upright, self.scale())


def works(wanted: Mapping[str, Settings], opened: Opened, folder: Path | None) -> list[Work]:
    """Return the works that make all variants of `wanted`.

    `folder` holds the handler, and the files that settings name.
    """
    gathered: dict[tuple[str, bool], list[Variant]] = {}
    for step, settings in wanted.items():
        shared = step if settings.get("filters") else ""
        for name, chosen in (settings.get("variants") or {}).items():
            variant = Variant.of(name, chosen or {}, _kept(opened, settings, chosen or {}))
            keeps = _keeps_profile(opened, variant, filtered=bool(shared))
            gathered.setdefault((shared, keeps), []).append(variant)
    return [
        _work(_chain(wanted.get(step), folder), keeps, variants, opened.size)
        for (step, keeps), variants in gathered.items()
    ]


def _keeps_profile(opened: Opened, variant: Variant, *, filtered: bool) -> bool:
    """Say whether a variant stays in the picture's own colours: asked to, and able to."""
    if variant.profile != "keep":
        return False
    coloured = filtered or not is_grey(variant.backdrop)
    return can_keep(profiles.of(opened.im), opened.mode, variant.format, colours=coloured)


def _kept(opened: Opened, settings: Settings, chosen: Settings) -> bytes:
    """Return the EXIF that a variant keeps: none, unless it asks."""
    metadata = str(chosen.get("metadata") or "strip")
    if metadata == "strip":
        return b""
    from imgpipe.runtime.image.facts import kept
    from imgpipe.runtime.image.facts import place as places

    return kept.exif_for(opened.im, metadata, places.policy(settings, "outputs"))


def _chain(settings: Settings | None, folder: Path | None) -> Chain | None:
    if not settings:
        return None
    from imgpipe.runtime.image import filters  # only functions that filter pay for the import

    return filters.chain(settings["filters"], folder)


def _work(chain: Chain | None, keeps: bool, variants: list[Variant], upright: Size) -> Work:
    original = chain.size(upright) if chain else upright
    framed = [each.within(chain.margin()) for each in variants] if chain else variants
    return Work(
        keeps_profile=keeps,
        chain=chain,
        upright=upright,
        original=original,
        placed=tuple((each, place(each, original)) for each in framed),
    )
