"""Leave to put one object: a form that S3 holds its sender to, whoever signs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def signed(
    s3: Any, bucket: str, key: str, fixed: Mapping[str, str], max_bytes: int, life_s: int
) -> tuple[str, dict[str, str]]:
    """Return where to post an object of this key, not empty and not larger, and the fields to send before the file.

    `fixed` are fields that S3 takes with these very values alone.
    """
    made = s3.generate_presigned_post(
        bucket,
        key,
        Fields=dict(fixed),
        Conditions=[
            *({name: value} for name, value in fixed.items()),
            ["content-length-range", 1, max_bytes],
        ],
        ExpiresIn=life_s,
    )
    return made["url"], made["fields"]
