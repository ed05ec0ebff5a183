"""The keys of stored outputs and notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.project import Project


def keys(project: Project, bucket: str, prefix: str) -> Iterator[str]:
    """Yield the keys of a bucket that begin with `prefix`, in S3's order: by UTF-8 bytes."""
    pages = project.cloud.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            yield item["Key"]


def keys_ever(project: Project, bucket: str, prefix: str) -> Iterator[str]:
    """Yield each key that begins with `prefix` and has any version or delete marker, maybe more than once."""
    pages = project.cloud.client("s3").get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            yield item["Key"]
