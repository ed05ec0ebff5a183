"""What a filter is, and where one is found: among those that come with imgpipe, or as a file of the
project's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.runtime.image.filters.own import FOLDER, loaded

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from imgpipe.runtime.image.geometry import Size

Value = Any  # what pipeline.yaml says behind the filter's name; None or True when it says nothing
Function = Callable[["Image.Image", Value], "Image.Image"]
Phase = Literal["turn", "tone", "finish"]
"""When a filter works.

turn: on the upright picture, before variants are cut; may change its size, and sees alpha.
tone: on plain RGB, once, at the size of the largest variant; keeps the size.
finish: on each variant, when it has its size; sees alpha.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter by its name. Calling it does the work."""

    name: str
    function: Function
    phase: Phase = "tone"
    colours: bool = False  # whether it brings colours into a grey picture
    alpha: bool = False  # whether a tone wants RGBA where there is alpha: it moves pixels
    size: Callable[[Size, Value], Size] | None = None  # the size after a turn
    margin: Callable[[Value], int] | None = None  # pixels that a finish adds on each side
    own: bool = False  # whether it is the project's, not one of ours
    after: Mapping[str, Function] = field(default_factory=dict)
    """By the tone of ours that comes right before: what does both, with the values of both, quicker."""

    def __call__(self, im: Image.Image, value: Value) -> Image.Image:
        return self.function(im, value)


FILTERS: dict[str, Filter] = {}


def register(name: str, **more: Any) -> Callable[[Function], Function]:
    """Make a function known as the filter `name`; `more` are fields of Filter."""

    def keep(function: Function) -> Function:
        FILTERS[name] = Filter(name=name, function=function, **more)
        return function

    return keep


def find(name: str, folder: Path | None = None) -> Filter:
    """Return the filter `name`: the project's, in `folder`/filters, or one of ours.

    Raises LookupError when there is none, FilterFailed when the project's file is no filter.
    """
    path = folder / FOLDER / f"{name.replace('-', '_')}.py" if folder else None
    if path and path.is_file():
        filter_ = loaded(name, path, path.stat().st_mtime_ns)
        return Filter(name=name, function=filter_, phase=filter_.phase, colours=True, own=True)
    if name not in FILTERS:
        raise LookupError(f"there is no filter `{name}`")
    return FILTERS[name]


def number(value: Value, default: float, low: float, high: float) -> float:
    """Return the number behind a filter's name, or its default.

    Raises ValueError for what is no number from `low` to `high`.
    """
    if value is None or value is True:
        return default
    found = float(value)
    if not low <= found <= high:  # NaN isn't, either
        raise ValueError(f"{low:g} to {high:g}")
    return found


def fields(value: Value, first: str, known: tuple[str, ...]) -> dict[str, Any]:
    """Return the mapping behind a filter's name; a plain value stands for its field `first`.

    Raises ValueError for a field that isn't known.
    """
    if value is None or value is True:
        return {}
    if not isinstance(value, dict):
        return {first: value}
    unknown = [name for name in value if name not in known]
    if unknown:
        raise ValueError(f"it has no `{unknown[0]}`; known are {', '.join(known)}")
    return value
