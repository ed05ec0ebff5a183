"""Leave to upload, for somebody without a key of ours, such as a browser: signed forms and links for one object each.

What is signed is one key below the pipeline's prefix, for a quarter of an hour. A form also binds the size, so that
S3 itself refuses what the pipeline would reject. S3 has no such form for the parts of a large file: each of its
requests gets a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from imgpipe.errors import UsageError
from imgpipe.operate import images
from imgpipe.operate.upload.media_types import content_type
from imgpipe.runtime.forms import signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.operate.project import Project

EXPIRES_S = 900
FORM_MAX_BYTES = 5 * 1024**3
"""S3 takes no more in one POST."""
MOST_PARTS = 10_000
"""S3's limit of parts of an upload."""
Call = Literal["create", "part", "list", "complete", "abort"]
_OPERATIONS: Mapping[Call, str] = {
    "create": "create_multipart_upload",
    "part": "upload_part",
    "list": "list_parts",
    "complete": "complete_multipart_upload",
    "abort": "abort_multipart_upload",
}


@dataclass(frozen=True, slots=True)
class Form:
    """A form to POST to `url` as multipart/form-data: `fields` first, then the file."""

    url: str
    key: str
    fields: Mapping[str, str]


def key_of(project: Project, name: str) -> str:
    """Return the key that a file of this name gets. Raises UsageError for one that can't be a key."""
    key = images.join(project.graph.prefix, name)
    fault = images.key_fault(key) if name.strip("/") else "it has no name"
    if fault:
        raise UsageError(f"file {name!r}", fault)
    return key


def most_bytes(project: Project) -> int:
    """Return how large an upload may be."""
    return int(project.spec.uploads.limits.bytes)


def form(project: Project, name: str) -> Form:
    """Return leave to put a file of this name, not empty and not larger than the pipeline takes."""
    key, kind = key_of(project, name), content_type(name)
    most = min(most_bytes(project), FORM_MAX_BYTES)
    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    url, fields = signed(s3, bucket, key, {"Content-Type": kind}, most, EXPIRES_S)
    # What the SDK signs is the key with `${filename}` understood; ours is whole.
    return Form(url, key, {**fields, "key": key})


def link(
    project: Project, call: Call, key: str, upload_id: str | None = None, part: int | None = None
) -> str:
    """Return a signed link for one request of a multipart upload.

    Raises UsageError for a key that isn't an upload's, and for a request that lacks its upload or its part.
    """
    if not key.startswith(project.graph.prefix) or images.key_fault(key):
        raise UsageError(f"key {key!r}", "it is no upload's")
    if call != "create" and not upload_id:
        raise UsageError(f"{call} of {key!r}", "it doesn't say of which upload")
    if call == "part" and part not in range(1, MOST_PARTS + 1):
        raise UsageError(f"part of {key!r}", f"its number is none of 1 to {MOST_PARTS}")
    named: dict[str, Any] = {"UploadId": upload_id, "PartNumber": part}
    given = {name: value for name, value in named.items() if value is not None}
    if call == "create":
        given = {"ContentType": content_type(key)}
    signed: str = project.cloud.client("s3").generate_presigned_url(
        _OPERATIONS[call],
        Params={"Bucket": project.graph.uploads_bucket, "Key": key, **given},
        ExpiresIn=EXPIRES_S,
    )
    return signed


def origin(project: Project) -> str:
    """Return where a browser sends uploads, such as `https://bucket.s3.eu-west-1.amazonaws.com`."""
    found = urlsplit(form(project, "x").url)
    return f"{found.scheme}://{found.netloc}"
