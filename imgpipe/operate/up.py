"""Whether a pipeline is up at all, so that a person isn't told of one missing queue, table or log group after another.

What is missing from a pipeline that is up keeps its own error: `status` shows the rest.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from imgpipe.cloud import explain
from imgpipe.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from imgpipe.operate.project import Project

Item = TypeVar("Item")


@contextmanager
def needed(project: Project) -> Iterator[None]:
    """Say that the pipeline isn't up instead of which part of it was missed first."""
    from botocore.exceptions import ClientError

    try:
        yield
    except (MissingError, ClientError) as error:
        known = explain(error, f"pipeline {project.graph.pipeline}")
        if not isinstance(known, MissingError):
            raise
        refused = error is not known or known.__cause__ is not None
        if not _has_table(project) or (refused and not _has_queues(project)):
            raise _down(project) from error
        raise


def over(project: Project, items: Iterable[Item]) -> Iterator[Item]:
    """Yield `items`, which come from a pipeline that must be up."""
    with needed(project):
        yield from items


def refuse_if_down(project: Project) -> None:
    """Raise MissingError when there is nothing to ask."""
    if not _has_queues(project):
        raise _down(project)


def is_down(project: Project) -> bool:
    """Say whether there is nothing to ask; who may not look is not told so."""
    return not _has_queues(project)


def _down(project: Project) -> MissingError:
    return MissingError(
        "the pipeline", f"it is not up in {project.graph.environment}", hint="imgpipe up"
    )


def _has_queues(project: Project) -> bool:
    """Say whether any queue is there: `down` may keep the table, but no queue."""
    sqs = project.cloud.client("sqs")
    urls = map(project.graph.place.queue_url, project.graph.queues.values())
    return any(
        _is_there(lambda url=url: sqs.get_queue_attributes(QueueUrl=url))  # type: ignore[misc]
        for url in urls
    )


def _has_table(project: Project) -> bool:
    dynamodb = project.cloud.client("dynamodb")
    return _is_there(lambda: dynamodb.describe_table(TableName=project.graph.table))


def _is_there(ask: Callable[[], Any]) -> bool:
    """Say whether it is there; who may not ask is not told that it isn't."""
    from botocore.exceptions import ClientError

    try:
        ask()
    except ClientError as error:
        return not isinstance(explain(error, "the pipeline"), MissingError)
    return True
