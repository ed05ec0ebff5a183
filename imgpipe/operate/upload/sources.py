"""What a person named -> files and their keys, lazily: a folder of a million files is never held in
memory.

A file's key is its name; a folder keeps its own name and its structure; a glob means what a shell
would have made of it. Two files for one key are refused before anything is sent:
`refuse_collisions` needs no list of keys for that, since keys can only meet between two files, or
between two folders of the same name, where a look into the other folder tells. Everything that
can't be sent comes out as `NotSent` with the reason, and what is in a folder but no image as
`LeftOut`; a file that was named is always sent.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe.cloud import LOCK_FILE
from imgpipe.errors import ImgpipeError, UsageError
from imgpipe.operate import images
from imgpipe.operate.upload import belongs, plain_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

OWN_DATA = LOCK_FILE.parent.name
"""The folder where the embedded cloud keeps what is uploaded to it: sending it would never end."""
SORTED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Source:
    """A file to send. `size` is what it was when it was found; `notify` is who asks to hear of its end."""

    path: str
    key: str
    size: int
    notify: str = ""


@dataclass(frozen=True, slots=True)
class NotSent:
    """A path that led to no upload. `reason` is a word for scripts, `why` a sentence for people."""

    path: str
    key: str | None
    reason: str
    why: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder inside a named folder that isn't meant: hidden, or no image."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Root:
    """One path that a person named, and the key that it, or what is in it, goes under."""

    path: str
    name: str
    is_folder: bool


def roots(paths: Sequence[str]) -> Iterator[Root]:
    """Yield what `paths` name, globs expanded. Raises ImgpipeError for a path that isn't there."""
    for path in paths:
        found = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - Path.glob wants a folder apart
        if not found:
            what = "nothing matches" if glob.has_magic(path) else "there is no such file or folder"
            raise ImgpipeError(path, what)
        yield from map(_root, found)


def refuse_collisions(paths: Sequence[str], *, everything: bool = True) -> None:
    """Raise UsageError when two files would get one key."""
    files: dict[str, str] = {}
    folders: dict[str, list[str]] = {}
    for root in roots(paths):
        if root.is_folder:
            others = folders.setdefault(root.name, [])
            for other in others:
                _refuse_common_files(other, root, everything)
            others.append(root.path)
        elif root.name in files:
            _refuse(files[root.name], root.path, root.name)
        else:
            files[root.name] = root.path


def target(prefix: str, below: str) -> str:
    """Return the key that uploads go under. Raises UsageError for a `below` that S3 can't have in a key."""
    under = images.upload_prefix(prefix, below)
    if fault := images.key_fault(under.strip("/")):
        raise UsageError(f"prefix {below!r}", fault)
    return under


def find(
    paths: Sequence[str], prefix: str, suffixes: Sequence[str] = (), *, everything: bool = True
) -> Iterator[Source | NotSent | LeftOut]:
    """Yield every file that `paths` lead to, with its key under `prefix`, in the order of their
    names. Unless `everything` is wanted, what is in a folder but hidden or no image is left out.

    Where the pipeline hears of some `suffixes` only, a file with another would lie there unnoticed:
    not sent.
    """
    for root in roots(paths):
        key = f"{prefix}{root.name}"
        inside = _folder(root.path, key, everything) if root.is_folder else None
        found = inside or iter([_file(root.path, key)])
        yield from (_heard(item, suffixes) for item in found)


def count(
    found: Iterable[Source | NotSent | LeftOut], tell: Callable[[LeftOut], None]
) -> tuple[int, int]:
    """Return how many files there are to send, and their bytes; `tell` of each that is left out."""
    files = size = 0
    for item in found:
        if isinstance(item, Source):
            files, size = files + 1, size + item.size
        elif isinstance(item, LeftOut):
            tell(item)
    return files, size


def meant(found: Iterable[Source | NotSent | LeftOut]) -> Iterator[Source | NotSent]:
    """Yield what isn't left out."""
    return (item for item in found if not isinstance(item, LeftOut))


def _heard(item: Source | NotSent | LeftOut, suffixes: Sequence[str]) -> Source | NotSent | LeftOut:
    spelled = tuple(
        form for suffix in suffixes for form in (suffix, suffix.upper(), suffix.title())
    )
    if not isinstance(item, Source) or not spelled or item.key.endswith(spelled):
        return item
    wanted = ", ".join(suffixes)
    why = f"its name does not end in {wanted}, so the pipeline would not hear of it"
    return NotSent(item.path, item.key, "bad_name", why)


def _root(path: str) -> Root:
    """Name a path: `.` and `..` are called as the folder that they are."""
    plain = path.rstrip("/") or "/"
    name = Path(plain).name
    if name in {"", ".", ".."}:
        name = Path(plain).resolve().name
    return Root(path, name, Path(path).is_dir())


@dataclass(frozen=True, slots=True)
class _Level:
    """A folder that is being walked, and what is still to come of it."""

    identity: tuple[int, int]
    path: str
    key: str
    entries: Iterator[tuple[str, bool]]


def _folder(path: str, key: str, everything: bool) -> Iterator[Source | NotSent | LeftOut]:
    """Walk a folder, however deep, by name."""
    levels: list[_Level] = []
    found = _enter(path, key, levels)
    if found:
        yield found
    while levels:
        level = levels[-1]
        entry = next(level.entries, None)
        if entry is None:
            levels.pop()
            continue
        name, is_folder = entry
        inside, inside_key = f"{level.path.rstrip('/')}/{name}", f"{level.key}/{name}"
        item: Source | NotSent | LeftOut | None
        if not everything and belongs.hidden(name):
            item = LeftOut(inside, "hidden")
        elif is_folder:
            item = _enter(inside, inside_key, levels)
        else:
            item = _inside(inside, inside_key, everything)
        if item:
            yield item


def _inside(path: str, key: str, everything: bool) -> Source | NotSent | LeftOut:
    """Look at a file in a folder: it must be an image, unless everything is wanted."""
    found = _file(path, key)
    if isinstance(found, NotSent) or everything:
        return found
    why = belongs.reason_not(path)
    return LeftOut(path, why) if why else found


def _enter(path: str, key: str, levels: list[_Level]) -> NotSent | None:
    """Put a folder on top of `levels`, those that led here; or return why it can't be walked."""
    if Path(path).name == OWN_DATA:
        return NotSent(path, None, "own_data", "imgpipe's own data, which grows while it is read")
    try:
        about = Path(path).stat()
        entries = _entries(path)
        first = next(entries, None)
    except OSError as error:
        return NotSent(path, None, "unreadable", f"the folder can't be read: {error.strerror}")
    identity = (about.st_dev, about.st_ino)
    if any(level.identity == identity for level in levels):
        return NotSent(path, None, "loop", "a symbolic link that leads back to a folder above it")
    if first is None:
        return NotSent(path, None, "empty_folder", "a folder without files")
    levels.append(_Level(identity, path, key, chain([first], entries)))
    return None


def _entries(path: str) -> Iterator[tuple[str, bool]]:
    """Yield names and whether they are folders: sorted where they are few, else in sorted stretches."""
    with os.scandir(path) as listing:
        stretch = list(islice(listing, SORTED_AT_ONCE))
        while len(stretch) == SORTED_AT_ONCE:
            yield from sorted((entry.name, _is_folder(entry)) for entry in stretch)
            stretch = list(islice(listing, SORTED_AT_ONCE))
    yield from sorted((entry.name, _is_folder(entry)) for entry in stretch)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _file(path: str, key: str) -> Source | NotSent:
    """Look at one path: a file to send, or why it isn't."""
    try:
        about = plain_paths.about(path)
    except OSError as error:
        broken = Path(path).is_symlink()
        why = (
            "a symbolic link that leads nowhere"
            if broken
            else f"it can't be read: {error.strerror}"
        )
        return NotSent(path, key, "unreadable", why)
    if not stat.S_ISREG(about.st_mode):
        return NotSent(path, key, "not_a_file", "neither a file nor a folder")
    if about.st_size == 0:
        return NotSent(path, key, "empty_file", "the file is empty: there is no image in it")
    if fault := images.key_fault(key):
        return NotSent(path, key, "bad_name", fault)
    if not os.access(path, os.R_OK):
        return NotSent(path, key, "unreadable", f"it can't be read: {os.strerror(errno.EACCES)}")
    return Source(path, key, about.st_size)


def _refuse_common_files(first: str, second: Root, everything: bool) -> None:
    base = second.path.rstrip("/")
    for found in meant(_folder(second.path, "", everything)):
        below = found.path[len(base) :].lstrip("/")
        if below and not Path(found.path).is_dir() and os.path.lexists(Path(first, below)):
            _refuse(str(Path(first, below)), found.path, f"{second.name}/{below}")


def _refuse(first: str, second: str, key: str) -> None:
    raise UsageError(
        f"{first} and {second}",
        f"both would become {key!r}",
        hint="upload them with a --prefix of their own, or one after the other",
    )
