"""What a step makes of an upload, in memory: the interface between `steps` and the code that does
the image work.

Apart from both, so that a step of a user's own needs neither Pillow nor our image core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imgpipe.runtime.settings import Limits

EXTENSIONS = {"jpeg": "jpg"}
"""Where a format's usual extension isn't its name."""


def extension(image_format: str) -> str:
    return EXTENSIONS.get(image_format, image_format)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A variant, encoded.

    `format` is jpeg, png, webp, avif, gif, or any other that has a content type `image/<format>`.
    """

    data: bytes = field(repr=False)
    width: int
    height: int
    format: str

    @property
    def extension(self) -> str:
        return extension(self.format)

    @property
    def content_type(self) -> str:
        return f"image/{self.format}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one step made of an upload: variants by name, and facts for the row (JSON values).

    A variant's name is the folder that it is stored in: one that pipeline.yaml declares for the step,
    or the step's own name. The function may write nowhere else.
    `preview` is a JPEG for a model to name what it shows (`tags: rekognition`); it is stored nowhere.
    """

    variants: Mapping[str, Picture] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    preview: bytes = field(default=b"", repr=False)


Make = Callable[[bytes, Mapping[str, Mapping[str, Any]], Limits], Mapping[str, Made]]
"""From an upload's bytes, the steps' settings and the limits to what each step made.

Raises Rejected.
"""
