"""What is wrong with a pipeline's declaration: where it stands, in plain words, and all of it at
once.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from imgpipe.errors import NEXT_LINE, UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

HINT = "imgpipe schema prints every setting and its limits"

YamlPath = tuple[str | int, ...]
"""Keys and list positions from the root of pipeline.yaml to a value."""


class Mark(NamedTuple):
    """A place in a file; both count from one, as editors do."""

    line: int
    column: int


class Problem(NamedTuple):
    mark: Mark
    message: str

    def told(self, file: Path) -> str:
        """Return `pipeline.yaml:3:5: …`."""
        return f"{file}:{self.mark.line}:{self.mark.column}: {self.message}"


class Finding(NamedTuple):
    """A problem at a path of the declaration, before it is known where that path is written."""

    path: YamlPath
    message: str
    at_key: bool = False  # the key itself is what's wrong, not its value


class SpecError(UsageError):
    """Every problem of one file, in the order of its lines."""

    def __init__(self, file: Path, problems: Iterable[Problem], *, hint: str = HINT) -> None:
        self.file = file
        self.problems = tuple(sorted(set(problems)))
        lines = [problem.told(file) for problem in self.problems]
        super().__init__(NEXT_LINE.join(map(printable, lines)), hint=hint)


def meant(word: object, known: Sequence[str]) -> str:
    """Return the nearest of `known`; nothing when none is near."""
    near = difflib.get_close_matches(str(word).lower(), known, n=1, cutoff=0.6)
    return near[0] if near else ""


def nearest(word: object, known: Sequence[str]) -> str:
    """Return `; did you mean …?` with the nearest of `known`; nothing when none is near."""
    near = meant(word, known)
    return f"; did you mean `{near}`?" if near else ""


def did_you_mean(word: object, known: Sequence[str]) -> str:
    """Return the nearest of `known`, or all of them when none is near."""
    if len(known) == 1:
        return f"; it must be `{known[0]}`"
    return nearest(word, known) or f"; known are {listed(known)}"


def listed(words: Iterable[object]) -> str:
    """Return words as people list them: `a`, `b` and `c`."""
    quoted = [f"`{word}`" for word in words]
    return " and ".join(filter(None, (", ".join(quoted[:-1]), *quoted[-1:])))
