"""How an image is called: its key in the uploads bucket, with or without the pipeline's prefix.

An upload's key is always the prefix and what the person named. A KEY that a person asks for later
may carry the prefix or not, so it stands for up to two full keys, the likelier one first.
"""

from __future__ import annotations

MAX_KEY_BYTES = 1024
"""S3's limit, in UTF-8."""


def join(*parts: str) -> str:
    """Return the parts as one key, with single slashes between them and none in front."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def upload_prefix(prefix: str, below: str) -> str:
    """Return the key that uploads go under: the pipeline's prefix, then `below`, which may repeat it."""
    wanted = below.strip("/")
    inside = wanted if f"{wanted}/".startswith(prefix) else join(prefix, wanted)
    return f"{inside}/" if inside else ""


def candidates(prefix: str, key: str) -> tuple[str, ...]:
    """Return the full keys that `key` may stand for, the likelier first."""
    whole = f"{prefix}{key}"
    return (key, whole) if prefix and key.startswith(prefix) else (whole,)


def listing_prefix(prefix: str, wanted: str) -> str:
    """Return what the full keys begin with when a person asks for those that begin with `wanted`."""
    return wanted if prefix and wanted.startswith(prefix) else f"{prefix}{wanted}"


def short(prefix: str, key: str) -> str:
    """Return `key` as people call it, without the prefix."""
    return key.removeprefix(prefix) or key


def key_fault(key: str) -> str:
    """Return why S3 can't store `key`, or nothing."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "its name is not valid UTF-8, which a key must be"
    if size > MAX_KEY_BYTES:
        return f"its key has {size} bytes, and S3 allows {MAX_KEY_BYTES}"
    if any(part in {".", ".."} for part in key.split("/")):
        return "a part of its key is `.` or `..`, which many tools read as a folder"
    return ""
