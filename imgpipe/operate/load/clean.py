"""Takes away what a burst left: every version of its uploads; the pipeline then tidies their variants and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.project import Project

AT_ONCE = 1000


def clean(project: Project, prefix: str) -> Iterator[int]:
    """Delete what lies under `prefix` in the uploads bucket, and yield how many versions went each time."""
    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        gone = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        for start in range(0, len(gone), AT_ONCE):
            some = gone[start : start + AT_ONCE]
            s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
            yield len(some)
