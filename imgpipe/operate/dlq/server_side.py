"""SQS's own mover, for a whole queue: quick for many thousands, without a choice, and only back to
a queue.

AWS allows it for the dead-letter queue of a queue. It is told where to, since such a queue of ours
may also hold what SNS couldn't deliver. A task goes on in AWS when this command is interrupted; run
again, it is met and followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.errors import CloudError, UsageError
from imgpipe.operate.dlq import choose, queues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgpipe.operate.dlq.choose import Choice
    from imgpipe.operate.dlq.letters import Home
    from imgpipe.operate.project import Project

POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a move is. `total` is None while AWS doesn't say."""

    queue: str
    moved: int
    total: int | None
    done: bool


def movable(project: Project, choice: Choice) -> list[Home]:
    """Return the queues that SQS can empty by itself and that `choice` means; all that have one, if it names none."""
    homes = choose.homes_for(queues.homes(project.graph), choice)
    if choice.queue or choice.step:
        return [home for home in homes if not home.holds_rejected or choice.queue == home.name]
    owners = {home.name: queues.branch_of(project.graph, home.branch) for home in homes}
    return [
        home
        for home in homes
        if (owner := owners[home.name]) is not None and owner.queue is not None
    ]


def move(project: Project, home: Home, sleep: Callable[[float], None]) -> Iterator[Progress]:
    """Start or join the move of a whole dead-letter queue; yield progress until it ends.

    Raises UsageError where AWS has no such move, CloudError when it failed or was cancelled.
    """
    branch = queues.branch_of(project.graph, home.branch)
    if branch is None or branch.queue is None:
        raise UsageError(
            f"queue {home.name}",
            "AWS moves letters by itself only from a queue's dead-letter queue back to that queue",
            hint="run again without --server-side",
        )
    sqs, place = project.cloud.client("sqs"), project.graph.place
    source = place.queue_arn(project.graph.queues[home.name])
    _start(sqs, home.name, source, place.queue_arn(branch.queue))
    while True:
        task = _latest(sqs, source)
        status = task.get("Status")
        if status in {"FAILED", "CANCELLED"}:
            raise CloudError(
                f"moving queue {home.name}",
                f"{status.lower()}: {task.get('FailureReason', 'no reason')}",
            )
        moved, total = (
            task.get("ApproximateNumberOfMessagesMoved", 0),
            task.get("ApproximateNumberOfMessagesToMove"),
        )
        yield Progress(home.name, moved, total, status == "COMPLETED")
        if status == "COMPLETED":
            return
        sleep(POLL_S)


def _start(sqs: Any, name: str, source: str, destination: str) -> None:
    if _latest(sqs, source).get("Status") == "RUNNING":
        return
    try:
        sqs.start_message_move_task(SourceArn=source, DestinationArn=destination)
    except sqs.exceptions.ClientError as error:
        raise explain(error, f"moving queue {name}") from error


def _latest(sqs: Any, source: str) -> dict[str, Any]:
    tasks = sqs.list_message_move_tasks(SourceArn=source, MaxResults=1).get("Results", [])
    return tasks[0] if tasks else {}
