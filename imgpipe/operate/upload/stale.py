"""Unfinished uploads that nobody will finish: they cost storage and no listing of the bucket shows
them.

Stale is one that has had no part for a while, so that an upload under way, by whomever, is left
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imgpipe.cloud import error_code
from imgpipe.operate.upload import multipart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.project import Project


@dataclass(frozen=True, slots=True)
class Aborted:
    """An unfinished upload that was aborted: the bytes it held, and when its last part came."""

    key: str
    upload_id: str
    size: int
    last_active: datetime


def abort(project: Project, prefix: str, older_than_s: float, now: datetime) -> Iterator[Aborted]:
    """Abort the unfinished uploads under `prefix` whose last part is older than `older_than_s`."""
    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    for upload in list(multipart.unfinished_uploads(s3, bucket, prefix)):
        key, upload_id = upload["Key"], upload["UploadId"]
        parts = list(multipart.list_parts(s3, bucket, key, upload_id))
        last = max([upload["Initiated"], *(part["LastModified"] for part in parts)])
        if now - last < timedelta(seconds=older_than_s):
            continue
        try:
            s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        except s3.exceptions.ClientError as error:
            if error_code(error) != "NoSuchUpload":  # finished or aborted by another hand meanwhile
                raise
            continue
        yield Aborted(key, upload_id, sum(part["Size"] for part in parts), last)
