"""What an operator's command must remember: JSON notes under `ops/`, in the variants' bucket if they have their own.

So that another machine can go on where this one stopped: checkpoints, manifests, receipts. Nothing else writes there,
tidy never deletes there, and no variant may be called `ops`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import error_code, explain
from imgpipe.deploy.names import OPERATIONS
from imgpipe.operate import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgpipe.operate.project import Project

_GONE = frozenset({"NoSuchKey", "404"})


def write(project: Project, name: str, note: Mapping[str, Any]) -> str:
    """Keep `note` as `ops/<name>`, in place of what was there; return its key. Raises CloudError."""
    s3, key = project.cloud.client("s3"), f"{OPERATIONS}/{name}"
    try:
        s3.put_object(
            Bucket=project.graph.ops_bucket,
            Key=key,
            Body=json.dumps(note, indent=2, ensure_ascii=False, default=str).encode(),
            ContentType="application/json",
        )
    except s3.exceptions.ClientError as error:
        raise explain(error, f"note {key}") from error
    return key


def read(project: Project, name: str) -> dict[str, Any] | None:
    """Return the note `ops/<name>`; None when there is none. Raises CloudError."""
    s3, key = project.cloud.client("s3"), f"{OPERATIONS}/{name}"
    try:
        body = s3.get_object(Bucket=project.graph.ops_bucket, Key=key)["Body"].read()
    except s3.exceptions.ClientError as error:
        if error_code(error) in _GONE:
            return None
        raise explain(error, f"note {key}") from error
    note: dict[str, Any] = json.loads(body)
    return note


def names(project: Project, under: str) -> Iterator[str]:
    """Yield the names of the notes below `ops/<under>`, sorted. Raises CloudError."""
    s3, folder = project.cloud.client("s3"), f"{OPERATIONS}/{under}"
    try:
        for key in listing.keys(project, project.graph.ops_bucket, folder):
            yield key.removeprefix(f"{OPERATIONS}/")
    except s3.exceptions.ClientError as error:
        raise explain(error, f"notes under {folder}") from error


def remove(project: Project, name: str) -> None:
    """Forget the note; one that isn't there is forgotten already. Raises CloudError."""
    s3, key = project.cloud.client("s3"), f"{OPERATIONS}/{name}"
    try:
        s3.delete_object(Bucket=project.graph.ops_bucket, Key=key)
    except s3.exceptions.ClientError as error:
        raise explain(error, f"note {key}") from error
