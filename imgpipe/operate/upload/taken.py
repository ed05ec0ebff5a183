"""Which names are uploads already, before an upload silently takes their place."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from imgpipe.operate import rows
from imgpipe.operate.upload.presign import key_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from imgpipe.operate.project import Project

SUFFIXES = range(2, 12)


def taken(project: Project, names: Collection[str]) -> dict[str, str]:
    """Return, for each name that is an upload's already, one like it that isn't: `a-2.jpg` for `a.jpg`.

    A name whose free ones ran out maps to "". Raises UsageError for a name that can't be a key, CloudError.
    """
    there = _there(project, names)
    likely = {name: [_beside(name, number) for number in SUFFIXES] for name in there}
    used = _there(project, [each for some in likely.values() for each in some]) | set(names)
    return {
        name: next((each for each in some if each not in used), "") for name, some in likely.items()
    }


def _there(project: Project, names: Collection[str]) -> set[str]:
    keys = {name: key_of(project, name) for name in names}
    known = rows.by_keys(project, set(keys.values()))
    return {
        name
        for name, key in keys.items()
        if known.get(key, {}).get("status") not in {None, "removed"}
    }


def _beside(name: str, number: int) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
