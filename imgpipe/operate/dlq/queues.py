"""Where the dead letters of a pipeline lie: every queue that something may give up into, and `rejected`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.deploy.resources import AsyncInvoke, Queue, Subscription
from imgpipe.operate.dlq.letters import Home

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Branch, Graph


def homes(graph: Graph) -> list[Home]:
    """Return the dead-letter queues, those of the branches first."""
    owners = {branch.dlq: branch for branch in graph.branches}
    fed = [
        *owners,
        *(queue.dlq for queue in graph.of(Queue)),
        *(subscription.dlq for subscription in graph.of(Subscription)),
        *(config.on_failure for config in graph.of(AsyncInvoke)),
        graph.rejected_queue,
    ]
    names = dict.fromkeys(name for name in fed if name)
    return [_home(graph, name, owners.get(name)) for name in names]


def branch_of(graph: Graph, name: str | None) -> Branch | None:
    return next((branch for branch in graph.branches if branch.name == name), None)


def _home(graph: Graph, full: str, owner: Branch | None) -> Home:
    shorts = {name: short for short, name in graph.queues.items()}
    fed_by = [queue.max_receives for queue in graph.of(Queue) if queue.dlq == full]
    kept = {queue.name: queue.retention_s for queue in graph.of(Queue)}
    return Home(
        name=shorts.get(full, full),
        url=graph.place.queue_url(full),
        retention_s=kept.get(full, 1_209_600),
        branch=owner.name if owner else None,
        steps=owner.steps if owner else (),
        holds_rejected=full == graph.rejected_queue,
        max_receives=max(fed_by, default=0),
    )
