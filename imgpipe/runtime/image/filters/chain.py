"""The filters of a step, sorted into the three places where they work.

Within a place the order is that of pipeline.yaml. Turns come first, because everything else is
measured on what they leave; finishes last, because a frame that is cut off is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.runtime.image.filters.registry import Filter, Value, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from PIL import Image

    from imgpipe.runtime.image.geometry import Size

Bound = tuple[Filter, Value]
FILES = ("image", "font")
"""Settings of filters that name a file beside the handler."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The filters of a step with their values."""

    turns: tuple[Bound, ...] = ()
    tones: tuple[Bound, ...] = ()
    finishes: tuple[Bound, ...] = ()

    def size(self, size: Size) -> Size:
        """Return what a picture of `size` measures after the turns."""
        for each, value in self.turns:
            size = each.size(size, value) if each.size else size
        return size

    def slants(self) -> bool:
        """Say whether the turns blend pixels: a square then needs a larger one around it."""
        return self.size((1000, 1000)) != (1000, 1000)

    def margin(self) -> int:
        """Return the pixels that the finishes add on each side."""
        return sum(each.margin(value) for each, value in self.finishes if each.margin)

    def turn(self, im: Image.Image) -> Image.Image:
        return _each(im, self.turns)

    def tone(self, im: Image.Image) -> Image.Image:
        """Return `im` after the tones. Grey stays grey unless coloured, and alpha as it was unless
        pixels move.
        """
        if not self.tones:
            return im
        alpha = im.getchannel("A") if im.mode == "RGBA" else None
        made = _rgb(im)
        for each, value in self.tones:
            if each.alpha and alpha:
                made.putalpha(alpha)
            made = each(made, value)
            alpha = made.getchannel("A") if made.mode == "RGBA" and each.alpha else alpha
            made = _rgb(made)
        if alpha:
            made.putalpha(alpha)
        grey = im.mode == "L" and not any(each.colours for each, _ in self.tones)
        return made.convert("L") if grey else made

    def finish(self, im: Image.Image) -> Image.Image:
        return _each(im, self.finishes)

    def __bool__(self) -> bool:
        return bool(self.turns or self.tones or self.finishes)


def chain(wanted: Sequence[Mapping[str, Value]], folder: Path | None = None) -> Chain:
    """Return the filters of `wanted`: `[{"autocontrast": None}, {"sharpen": 1.2}]`.

    `folder` holds the project's own filters and the files that values name. Raises ValueError.
    """
    found = [
        (find(name, folder), _with_files(value, folder))
        for each in wanted
        for name, value in each.items()
    ]
    return Chain(
        turns=tuple(each for each in found if each[0].phase == "turn"),
        tones=_joined(each for each in found if each[0].phase == "tone"),
        finishes=tuple(each for each in found if each[0].phase == "finish"),
    )


def _joined(tones: Iterable[Bound]) -> tuple[Bound, ...]:
    """Return the tones with those in one that can be done in one."""
    made: list[Bound] = []
    for each, value in tones:
        before, others = made[-1] if made else (None, None)
        both = each.after.get(before.name) if before and not before.own else None
        if before and both:
            made[-1] = Filter(name=f"{before.name}, {each.name}", function=both), (others, value)
        else:
            made.append((each, value))
    return tuple(made)


def apply(
    im: Image.Image, wanted: Sequence[Mapping[str, Value]], folder: Path | None = None
) -> Image.Image:
    """Return `im` after each filter of `wanted`."""
    every = chain(wanted, folder)
    return every.finish(every.tone(every.turn(im)))


def _rgb(im: Image.Image) -> Image.Image:
    """Return `im` as RGB; itself if it is, which `convert` would copy."""
    return im if im.mode == "RGB" else im.convert("RGB")


def _each(im: Image.Image, bound: tuple[Bound, ...]) -> Image.Image:
    for each, value in bound:
        im = each(im, value)
    return im


def _with_files(value: Value, folder: Path | None) -> Value:
    """Return `value` with the files that it names found in `folder`, and nowhere else."""
    if folder is None or not isinstance(value, dict):
        return value
    return {
        name: _file(str(each), folder) if name in FILES else each for name, each in value.items()
    }


def _file(name: str, folder: Path) -> str:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ValueError(f"there is no file `{name}` in {folder.name}/")
    return str(path)
