"""Many files at once, as a stream of outcomes: a million files need no more memory than a hundred.

A file that fails alone is told and the others go on. A failure that would meet every file alike (no
credentials, a missing permission, no bucket, no cloud) ends the run.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from imgpipe.cloud import error_code, explain
from imgpipe.errors import (
    CredentialsError,
    DeniedError,
    FullDiskError,
    PendingError,
    UnreachableError,
)
from imgpipe.operate import heard, parallel, up
from imgpipe.operate.upload.send import Progress, Sent, send
from imgpipe.operate.upload.sources import NotSent, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgpipe.operate.project import Project
    from imgpipe.operate.upload.direct import Api

WORKERS = 8
_HOPELESS = (CredentialsError, DeniedError, FullDiskError, UnreachableError)


def refuse_if_unheard(project: Project) -> None:
    """Raise PendingError when the bucket wouldn't announce an upload: the pipeline isn't up, or its rules are gone."""
    missing = heard.lacking(project)
    if not missing:
        return
    if up.is_down(project):
        name = f"pipeline {project.graph.pipeline} in {project.graph.environment}"
        why = "it is not up: nobody would hear of an upload"
    else:
        name, why = f"bucket {project.graph.uploads_bucket}", heard.says(missing)
    raise PendingError(name, why, hint="imgpipe up")


class StoppedError(Exception):
    """A person interrupted: this file is not sent to its end now."""


def _api(project: Project) -> Api:
    from imgpipe.operate.upload.direct import Api

    return Api(project)


def run(
    project: Project,
    found: Iterable[Source | NotSent],
    progress: Progress,
    workers: int = WORKERS,
    *,
    via_api: bool = False,
) -> Iterator[Sent | NotSent]:
    """Send what `sources.find` found, to S3 or over the pipeline's own API; yield an outcome for each, in the
    order they end.

    Raises CloudError as soon as no file could be sent any more.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    api = _api(project) if via_api else None

    stopping = threading.Event()

    def told(count: int) -> None:
        progress(count)
        if stopping.is_set():  # between two parts: those that are there wait for the next run
            raise StoppedError

    def one(item: Source | NotSent) -> Sent | NotSent:
        if isinstance(item, NotSent):
            return item
        try:
            return api.send(item, told) if api else send(s3, bucket, item, told)
        except (BotoCoreError, ClientError) as error:
            known = explain(error, f"uploading {item.path}")
            if isinstance(known, _HOPELESS) or error_code(error) == "NoSuchBucket":
                raise known from error
            return NotSent(item.path, item.key, "refused", known.why or str(known))

    yield from parallel.stream(one, found, workers, stopping)
