"""What is to be made, sorted by what can share pixels.

Variants of steps without filters share one cascade, whatever step they belong to; a step with filters
has its own. A variant that keeps its profile can't share with one in sRGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imgpipe.runtime.image.geometry import Placement, Size, Variant, base_scale, place, scaled
from imgpipe.runtime.image.rendering import render
from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL import Image

    from imgpipe.runtime.image.filters import Chain
    from imgpipe.runtime.image.opening import Opened

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Variants that share filters and colours.

    `original` is the size that placements are in: the upright picture's, after the filters' turns.
    """

    keeps_profile: bool
    chain: Chain | None
    original: Size
    placed: tuple[tuple[Variant, Placement], ...]

    def scale(self) -> float:
        return base_scale(placement for _, placement in self.placed)

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

        seen = self.chain.turn(base) if self.chain else base
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

    def _filtered(self, base: Image.Image) -> Image.Image:
        """Apply the filters once, at the size of the largest variant."""
        if not self.chain:
            return base
        turned = self.chain.turn(base)
        width, height = scaled(self.original, self.scale())
        size = (min(width, turned.width), min(height, turned.height))
        return self.chain.tone(resize(turned, size))


def works(wanted: Mapping[str, Settings], opened: Opened, folder: Path | None) -> list[Work]:
    """Return the works that make all variants of `wanted`.

    `folder` holds the handler, and the files that settings name.
    """
    gathered: dict[tuple[str, bool], list[Variant]] = {}
    for step, settings in wanted.items():
        shared = step if settings.get("filters") else ""
        for name, chosen in (settings.get("variants") or {}).items():
            variant = Variant.of(name, chosen or {}, _kept(opened, settings, chosen or {}))
            gathered.setdefault((shared, variant.profile == "keep"), []).append(variant)
    return [
        _work(_chain(wanted.get(step), folder), keeps, variants, opened.size)
        for (step, keeps), variants in gathered.items()
    ]


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
        original=original,
        placed=tuple((each, place(each, original)) for each in framed),
    )
