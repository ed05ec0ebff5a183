"""Uploads of every kind that a pipeline must bring to an end: good, strange, broken, and made to harm.

`every()` makes some 330 files, each with the end that it must have, and `keys.every()` names to upload them under that
are trouble. They are made for `LIMITS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

End = Literal["done", "rejected", "either"]
LIMITS = "{bytes: 50MB, pixels: 100MP, frames: 1000, decode: 10s, memory: 960MB}"


@dataclass(frozen=True)
class Upload:
    """A file, the end that it must have, and, if refused, for one of which reasons; none named means any."""

    name: str
    data: bytes
    end: End
    reasons: tuple[str, ...] = ()


def every() -> Iterator[Upload]:
    from tests.uploads import bombs, broken, foreign, metadata, rare

    for module in (rare, broken, foreign, metadata, bombs):
        yield from module.uploads()
