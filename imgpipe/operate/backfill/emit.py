"""An item -> an event to each branch that has work on it, and to no other. Never to the topic, never to the bucket."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.errors import CloudError
from imgpipe.operate import parallel
from imgpipe.operate.audit.law import Upload
from imgpipe.operate.audit.remedy import Invoke, Send, notification, to_branch
from imgpipe.operate.times import from_iso
from imgpipe.operate.why.facts import Version

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Graph
    from imgpipe.operate.backfill.work import Item, Steps
    from imgpipe.operate.project import Project

WORKERS = 8
SEND_BATCH = 10
"""SendMessageBatch's limit. An event is about 1 KB, and at most 4 KB for the longest key."""

EVENTS: Mapping[str, str] = {
    "created": "ObjectCreated:Put",
    "restored": "ObjectRestore:Completed",
    "tagged": "ObjectTagging:Put",
}
"""What a step that starts by it listens for."""


def calls(graph: Graph, steps: Steps, item: Item) -> Iterator[Send | Invoke]:
    """Yield what brings the item to the branches that have work on it. Pure."""
    upload = _upload(item)
    for branch in steps.branches:
        mine = [step for step in branch.steps if step in item.steps]
        if mine:
            name = EVENTS[steps.on[mine[0]]]
            event = notification(graph, upload, item.sequencer, name)
            yield to_branch(graph, branch, json.dumps(event))


def send(project: Project, steps: Steps, items: Iterable[Item]) -> None:
    """Send the work on all of `items`. Raises CloudError when any of it may not have been sent."""
    queued: defaultdict[str, list[str]] = defaultdict(list)
    invoked: list[Invoke] = []
    for item in items:
        for call in calls(project.graph, steps, item):
            if isinstance(call, Send):
                queued[call.url].append(call.body)
            else:
                invoked.append(call)
    batches = [
        (url, bodies[start : start + SEND_BATCH])
        for url, bodies in queued.items()
        for start in range(0, len(bodies), SEND_BATCH)
    ]
    every: list[tuple[str, list[str]] | Invoke] = [*batches, *invoked]
    sqs, functions = project.cloud.client("sqs"), project.cloud.client("lambda")

    def do(call: tuple[str, list[str]] | Invoke) -> None:
        if isinstance(call, Invoke):
            functions.invoke(
                FunctionName=call.function, InvocationType="Event", Payload=call.body.encode()
            )
        else:
            _send_batch(sqs, *call)

    from botocore.exceptions import BotoCoreError, ClientError

    try:
        for _ in parallel.stream(do, every, WORKERS):
            pass
    except (BotoCoreError, ClientError) as error:
        raise explain(error, "sending work") from error


def _send_batch(sqs: Any, url: str, bodies: list[str]) -> None:
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    if failed := answer.get("Failed"):
        raise CloudError(
            f"queue {url.rpartition('/')[2]}",
            f"{len(failed)} messages were refused: {failed[0].get('Message', failed[0]['Code'])}",
        )


def _upload(item: Item) -> Upload:
    at = from_iso(item.at) or datetime.now(UTC)
    version = Version(id=item.version_id, at=at, size=item.size, etag=item.etag, latest=True)
    return Upload(key=item.key, latest=version)
