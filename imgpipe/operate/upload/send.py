"""One file -> one object, byte for byte, or the reason why not.

The file is read once. S3 is given the SHA-256 of what it must store and answers with what it
stored; a file whose size or time of change moved while it was read is not called uploaded.
CRC64NVME, which S3 prefers, needs a native library beside boto3; SHA-256 comes with Python and is
as good here.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imgpipe.operate.upload import plain_paths
from imgpipe.operate.upload.media_types import content_type
from imgpipe.operate.upload.sources import NotSent, Source
from imgpipe.runtime.notifier import UPLOADER

MULTIPART_BYTES = 16 * 1024 * 1024
"""Files from this size on are sent in parts, which a second run can finish."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An upload that S3 has confirmed. `resumed` counts the bytes that an earlier run had already sent."""

    path: str
    key: str
    version_id: str | None
    etag: str
    size: int
    resumed: int = 0


class ChangedWhileReadError(Exception):
    """The file was written to while it was being sent."""


class DamagedError(Exception):
    """S3 holds something else than what was sent."""


Progress = Callable[[int], None]
"""Called with the number of bytes that have just been confirmed."""


def digest(data: bytes) -> str:
    """Return SHA-256 as S3 writes it: base64."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def identity(descriptor: int) -> tuple[int, int]:
    """Return what changes when a file is written to: its size and its time of change."""
    about = os.fstat(descriptor)
    return about.st_size, about.st_mtime_ns


def refuse_change(descriptor: int, before: tuple[int, int]) -> None:
    """Raise ChangedWhileReadError when the file isn't what it was `before`."""
    if identity(descriptor) != before:
        raise ChangedWhileReadError


def send(s3: Any, bucket: str, source: Source, progress: Progress) -> Sent | NotSent:
    """Send one file. Raises what the SDK raises when S3 can't or won't take it."""
    from imgpipe.operate.upload import multipart

    try:
        with plain_paths.opened(source.path) as file:
            if os.fstat(file.fileno()).st_size >= MULTIPART_BYTES:
                return multipart.send(s3, bucket, source, file.fileno(), progress)
            return _put(s3, bucket, source, file.fileno(), progress)
    except ChangedWhileReadError:
        return changed(source)
    except DamagedError as error:
        return NotSent(source.path, source.key, "damaged", str(error))
    except OSError as error:
        if error.errno is None:  # the SDK's connection errors are OSErrors too
            raise
        return NotSent(source.path, source.key, "unreadable", f"it can't be read: {error.strerror}")


def _put(
    s3: Any, bucket: str, source: Source, descriptor: int, progress: Progress
) -> Sent | NotSent:
    before = identity(descriptor)
    data = read(descriptor, 0, before[0])
    refuse_change(descriptor, before)
    if not data:
        return NotSent(
            source.path, source.key, "empty_file", "the file is empty: there is no image in it"
        )
    wanted = digest(data)
    answer = s3.put_object(
        Bucket=bucket,
        Key=source.key,
        Body=data,
        ContentType=content_type(source.path),
        ChecksumSHA256=wanted,
        Metadata=metadata(source),
    )
    if answer.get("ChecksumSHA256", wanted) != wanted:
        raise DamagedError(
            f"S3 answered with SHA-256 {answer['ChecksumSHA256']}, and {wanted} was sent"
        )
    progress(len(data))
    return Sent(
        source.path, source.key, answer.get("VersionId"), answer["ETag"].strip('"'), len(data)
    )


def changed(source: Source) -> NotSent:
    why = "it changed while it was being read: upload it again"
    return NotSent(source.path, source.key, "changed", why)


def metadata(source: Source) -> dict[str, str]:
    """Return what the object carries for the notifier to read."""
    return {UPLOADER: source.notify} if source.notify else {}


def read(descriptor: int, offset: int, length: int) -> bytes:
    """Read exactly `length` bytes at `offset`. Raises ChangedWhileReadError when there are fewer."""
    pieces = []
    while length:
        piece = os.pread(descriptor, length, offset)
        if not piece:
            raise ChangedWhileReadError
        pieces.append(piece)
        offset, length = offset + len(piece), length - len(piece)
    return b"".join(pieces)
