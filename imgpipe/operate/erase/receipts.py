"""Where the receipts of erasures are kept, and the latest of a key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from imgpipe.operate import ops

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

_OPEN = "open.json"


def folder(key: str) -> str:
    """Return the folder below `ops/`; it doesn't spell the key, which may be a person's name."""
    return f"erase/{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def open_name(key: str) -> str:
    """Return the name of the receipt of an erasure that hasn't ended."""
    return f"{folder(key)}/{_OPEN}"


def latest(project: Project, key: str) -> dict[str, Any] | None:
    """Return the receipt of the last erasure of `key` that came to its end; None if there was none."""
    ended = [it for it in ops.names(project, f"{folder(key)}/") if not it.endswith(f"/{_OPEN}")]
    return ops.read(project, max(ended)) if ended else None
