"""The disk that holds the embedded cloud's data: whether it takes more, and the words for when it doesn't."""

from __future__ import annotations

import shutil
from pathlib import Path

SCARCE_BYTES = 256 * 1024
"""Below this much free space a disk is called full: a transaction, or a small photograph, may not fit."""

HINT = "free some space there; what was accepted is kept"
NO_SPACE = "No space left on device"
_SIGNS = (NO_SPACE, "database or disk is full", "Disk quota exceeded")


def free_bytes(folder: Path) -> int:
    """Return the bytes that this user may still write on the disk of `folder`; none if nobody can tell."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def trouble(folder: Path, said: str = "") -> str:
    """Return what is wrong with the disk of `folder`; "" if nothing is. `said` is what a writer was told."""
    free = free_bytes(folder)
    if free >= SCARCE_BYTES and not any(sign in said for sign in _SIGNS):
        return ""
    return f"no space left on the disk that holds {folder} ({free:,} bytes free)"
