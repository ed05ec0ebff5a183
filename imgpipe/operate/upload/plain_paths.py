"""A file's name, facts and bytes by its plain path.

Not by pathlib: it interns each part of each path, so that the interpreter's table of names is built anew every few
thousand files, by whichever thread is about, and each thread's share of the memory keeps the room for one.
"""
# ruff: noqa: PTH119, PTH122, PTH116, PTH123

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO


def name(path: str) -> str:
    return os.path.basename(path)


def suffix(path: str) -> str:
    """Return what a file's name ends in, such as `.JPG`; "" where it has no dot but the first."""
    return os.path.splitext(path)[1]


def about(path: str) -> os.stat_result:
    """Raises OSError."""
    return os.stat(path)


def opened(path: str) -> FileIO:
    """Open a file for reading, without a buffer. Raises OSError."""
    return open(path, "rb", buffering=0)
