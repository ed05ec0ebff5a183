"""A large file in parts: sent several at a time, finished by a later run, verified as a whole.

Nothing is kept on disk between runs: S3 knows what it has. A run looks for an unfinished upload of
the same key, compares the SHA-256 of each part that is there with the file's own bytes, sends what
is missing or different, and completes it. An interrupted upload is therefore left alone, not
aborted; a file that changed meanwhile is not. Who asks to be told of the end (`Source.notify`) begins
anew: S3 tells nobody what metadata an unfinished upload carries.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from imgpipe.cloud import error_code
from imgpipe.operate.upload.media_types import content_type
from imgpipe.operate.upload.send import (
    ChangedWhileReadError,
    DamagedError,
    Progress,
    Sent,
    digest,
    identity,
    metadata,
    read,
    refuse_change,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from imgpipe.operate.upload.sources import Source

PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000
PARALLEL_PARTS = 4
_AT_ONCE = threading.BoundedSemaphore(2)
"""Large files in work at a time, so that memory stays at 2 files x 4 parts x 8 MiB."""


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    offset: int
    length: int


def parts_of(size: int) -> Iterator[Part]:
    """Yield the parts of a file of `size` bytes: 8 MiB each, larger only where 10,000 of them are too few."""
    needed = -(-size // MAX_PARTS)
    length = max(PART_BYTES, -(-needed // 2**20) * 2**20)
    for number, offset in enumerate(range(0, size, length), start=1):
        yield Part(number, offset, min(length, size - offset))


def composite(digests: list[str]) -> str:
    """Return S3's SHA-256 of an object in parts: the hash of the parts' hashes, and how many there are."""
    whole = hashlib.sha256(b"".join(map(base64.b64decode, digests))).digest()
    return f"{base64.b64encode(whole).decode()}-{len(digests)}"


def send(s3: Any, bucket: str, source: Source, descriptor: int, progress: Progress) -> Sent:
    with _AT_ONCE:
        try:
            return _send(s3, bucket, source, descriptor, progress)
        except Exception as error:
            if error_code(error) != "NoSuchUpload":
                raise
            # Somebody else finished or aborted the upload that we were finishing: start anew.
            return _send(s3, bucket, source, descriptor, progress, fresh=True)


def _send(
    s3: Any,
    bucket: str,
    source: Source,
    descriptor: int,
    progress: Progress,
    *,
    fresh: bool = False,
) -> Sent:
    before = identity(descriptor)
    there: Mapping[int, Mapping[str, Any]] = {}
    upload_id = None
    if not fresh and not source.notify:
        upload_id, there = _unfinished(s3, bucket, source.key)
    if upload_id is None:
        upload_id = s3.create_multipart_upload(
            Bucket=bucket,
            Key=source.key,
            ContentType=content_type(source.path),
            ChecksumAlgorithm="SHA256",
            Metadata=metadata(source),
        )["UploadId"]
    target = {"Bucket": bucket, "Key": source.key, "UploadId": upload_id}
    sender = _PartSender(s3, target, descriptor, there, progress)
    try:
        done, resumed = sender.run(parts_of(before[0]))
        refuse_change(descriptor, before)
    except ChangedWhileReadError:
        s3.abort_multipart_upload(**target)
        raise
    expected = composite([part["ChecksumSHA256"] for part in done])
    answer = _complete(s3, target, done, expected)
    found = _verify(s3, bucket, source.key, answer.get("VersionId"), expected, before[0])
    version, etag = found.get("VersionId"), found["ETag"].strip('"')
    return Sent(source.path, source.key, version, etag, before[0], resumed)


class _PartSender:
    """Sends the parts that aren't there yet, several at a time."""

    def __init__(
        self,
        s3: Any,
        target: Mapping[str, str],
        descriptor: int,
        there: Mapping[int, Mapping[str, Any]],
        progress: Progress,
    ) -> None:
        self._s3, self._target, self._descriptor = s3, target, descriptor
        self._there, self._progress = there, progress

    def run(self, parts: Iterator[Part]) -> tuple[list[dict[str, Any]], int]:
        """Return what completes the upload, and how many bytes were there already."""
        pool = ThreadPoolExecutor(PARALLEL_PARTS, "imgpipe-part")
        try:
            done = list(pool.map(self._one, parts))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return [part for part, _ in done], sum(resumed for _, resumed in done)

    def _one(self, part: Part) -> tuple[dict[str, Any], int]:
        data = read(self._descriptor, part.offset, part.length)
        wanted = digest(data)
        known = self._there.get(part.number, {})
        is_there = known.get("Size") == part.length and _holds(known, data, wanted)
        if is_there:
            etag = known["ETag"]
        else:
            etag = self._s3.upload_part(
                **self._target, PartNumber=part.number, Body=data, ChecksumSHA256=wanted
            )["ETag"]
        self._progress(part.length)
        entry = {"PartNumber": part.number, "ETag": etag, "ChecksumSHA256": wanted}
        return entry, part.length if is_there else 0


def _holds(known: Mapping[str, Any], data: bytes, wanted: str) -> bool:
    """Say whether a part that is there has the bytes of `data`: by its SHA-256 or, not told, by its MD5."""
    if "ChecksumSHA256" in known:
        return bool(known["ChecksumSHA256"] == wanted)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return bool(known["ETag"].strip('"') == md5)


def _unfinished(
    s3: Any, bucket: str, key: str
) -> tuple[str | None, Mapping[int, Mapping[str, Any]]]:
    """Return the unfinished upload of `key` by SHA-256 that has the most parts, and those parts."""
    best: tuple[str | None, dict[int, Mapping[str, Any]]] = (None, {})
    for upload in unfinished_uploads(s3, bucket, key):
        if upload["Key"] != key:
            continue
        parts: dict[int, Mapping[str, Any]] = {
            part["PartNumber"]: part for part in list_parts(s3, bucket, key, upload["UploadId"])
        }
        ours = upload.get("ChecksumAlgorithm") == "SHA256" or any(
            "ChecksumSHA256" in part for part in parts.values()
        )
        if ours and len(parts) > len(best[1]):
            best = (upload["UploadId"], parts)
    return best


def unfinished_uploads(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield the unfinished uploads under `prefix`, their keys decoded.

    Not with boto3's paginator: it would send the next page's marker as it came, encoded.
    """
    marker: dict[str, str] = {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix, EncodingType="url", **marker)
        decode: Callable[[str], str] = unquote_plus if page.get("EncodingType") == "url" else str
        for upload in page.get("Uploads", []):
            yield {**upload, "Key": decode(upload["Key"])}
        if not page.get("IsTruncated"):
            return
        marker = {
            "KeyMarker": decode(page["NextKeyMarker"]),
            "UploadIdMarker": page["NextUploadIdMarker"],
        }


def list_parts(s3: Any, bucket: str, key: str, upload_id: str) -> Iterator[dict[str, Any]]:
    """Yield the parts that an unfinished upload has; none when it was finished or aborted meanwhile."""
    try:
        for page in s3.get_paginator("list_parts").paginate(
            Bucket=bucket, Key=key, UploadId=upload_id
        ):
            yield from page.get("Parts", [])
    except s3.exceptions.ClientError as error:
        if error_code(error) != "NoSuchUpload":
            raise


def _complete(
    s3: Any, target: Mapping[str, str], parts: list[dict[str, Any]], expected: str
) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = s3.complete_multipart_upload(
            **target, MultipartUpload={"Parts": parts}
        )
    except s3.exceptions.ClientError as error:
        if error_code(error) != "NoSuchUpload":
            raise
        # The answer of a first try may have been lost: then the object is there with this checksum.
        found = _current(s3, target["Bucket"], target["Key"])
        if not _same(found.get("ChecksumSHA256"), expected):
            raise
        return found
    return answer


def _current(s3: Any, bucket: str, key: str) -> dict[str, Any]:
    """Return what S3 says of the object as it is now; nothing when there is none."""
    try:
        return _head(s3, bucket, key, None)
    except s3.exceptions.ClientError as error:
        if error_code(error) not in {"404", "NoSuchKey"}:
            raise
        return {}


def _verify(
    s3: Any, bucket: str, key: str, version_id: str | None, expected: str, size: int
) -> dict[str, Any]:
    found = _head(s3, bucket, key, version_id)
    stored = found.get("ChecksumSHA256")
    if found["ContentLength"] != size or not (stored is None or _same(stored, expected)):
        raise DamagedError(
            f"S3 holds {found['ContentLength']} bytes with SHA-256 {stored}, not what was sent"
        )
    return found


def _same(stored: str | None, expected: str) -> bool:
    """Compare composite checksums; some emulators leave out the number of parts."""
    return stored is not None and stored in {expected, expected.rpartition("-")[0]}


def _head(s3: Any, bucket: str, key: str, version_id: str | None) -> dict[str, Any]:
    version = {"VersionId": version_id} if version_id else {}
    found: dict[str, Any] = s3.head_object(
        Bucket=bucket, Key=key, ChecksumMode="ENABLED", **version
    )
    return found
