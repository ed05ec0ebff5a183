"""What a file's name promises. What it holds, the pipeline finds out."""

from __future__ import annotations

import mimetypes

from imgpipe.operate.upload import plain_paths

_TYPES = {
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".jfif": "image/jpeg",
    ".jp2": "image/jp2",
    ".jxl": "image/jxl",
    ".webp": "image/webp",
}


def content_type(path: str) -> str:
    """Return the media type that a file's name promises."""
    suffix = plain_paths.suffix(path).lower()
    return (
        _TYPES.get(suffix) or mimetypes.guess_type(f"file{suffix}")[0] or "application/octet-stream"
    )
