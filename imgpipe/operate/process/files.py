"""What a person named -> files, lazily, and a name of its own for what is made of each.

A folder keeps its name and its structure; a glob means what a shell would have made of it. Two
files that would share a name don't overwrite each other: the second keeps its extension
(`a.jpg`, `a.png` -> `a.jpg`, `a.png.jpg`), a third gets a number.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from imgpipe.errors import ImgpipeError, UsageError
from imgpipe.operate.upload import sources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from imgpipe.operate.upload.sources import LeftOut, NotSent, Source

WORTH_A_TRY = frozenset({"empty_file", "bad_name"})
"""What can't be uploaded, but can be looked at."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to work on. `stem` is where its variants go, below each variant's folder, without
    extension.
    """

    path: str
    stem: str


@dataclass(frozen=True, slots=True)
class NoFile:
    """A path that led to no file; `reason` is a word for scripts, `why` a sentence."""

    path: str
    reason: str
    why: str


def find(
    paths: Sequence[str],
    *,
    everything: bool = True,
    tell: Callable[[LeftOut], None] = lambda _: None,
) -> Iterator[File | NoFile]:
    """Yield every file that `paths` lead to, in the order of their names.

    Unless `everything` is wanted, what is in a folder but hidden or no image is left out, as an
    upload leaves it out, and `tell` hears of it.
    """
    names = Names()
    for path in paths:
        try:
            for item in sources.find([path], "", everything=everything):
                if isinstance(item, sources.LeftOut):
                    tell(item)
                else:
                    yield _found(item, names)
        except ImgpipeError as error:
            yield NoFile(path, "unreadable", error.why)


def _found(item: Source | NotSent, names: Names) -> File | NoFile:
    if isinstance(item, sources.NotSent) and item.reason not in WORTH_A_TRY:
        return NoFile(item.path, item.reason, item.why)
    return File(item.path, names.stem(item.key or Path(item.path).name))


class Names:
    """Gives each file a name that no other has, also where upper and lower case are the same.

    Holds eight bytes or so a file: not their names, but hashes of them.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def stem(self, key: str) -> str:
        suffix = PurePosixPath(key).suffix
        number = 1
        chosen = key[: -len(suffix)] if suffix else key
        while hash(chosen.casefold()) in self._taken:
            chosen = key if number == 1 else f"{key}-{number}"
            number += 1
        self._taken.add(hash(chosen.casefold()))
        return chosen


def refuse_overwriting(paths: Sequence[str], out: Path, variants: Collection[str]) -> None:
    """Raise UsageError when variants written to `out` would replace a named file, or be read as
    uploads themselves.
    """
    made = [(out / name).resolve() for name in variants]
    for path in paths:
        named = Path(path).resolve()
        inside = any(each.is_relative_to(named) for each in made) if named.is_dir() else False
        if inside or any(named.is_relative_to(each) for each in made):
            raise UsageError(
                f"--out {out}",
                f"the variants would lie among the files of {path}",
                hint="choose a folder of its own, such as --out /tmp/previews",
            )


def ready(out: Path) -> None:
    """Make the folder `out`, and raise UsageError where nothing can be written to it: before the work, not after."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        why = f"nothing can be written there: {error.strerror or error}"
        raise UsageError(f"--out {out}", why) from error
