"""The version of a pipeline's code: one name for all its functions' sources, locks and target."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

LENGTH = 16


def version_of(code_hashes: Mapping[str, str], target: str) -> str:
    """Return the version of these sources, built for `target` (`host`, `x86_64` or `arm64`)."""
    text = "".join(f"{source} {hashed}\n" for source, hashed in sorted(code_hashes.items()))
    return hashlib.sha256(f"{target}\n{text}".encode()).hexdigest()[:LENGTH]
