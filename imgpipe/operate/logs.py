"""The functions' logs, merged by time: what happened since a moment, then what happens next.

An empty page with a token is not the end. Events come late and out of order between streams, so
following asks again for the last seconds each time and leaves out what was shown already, by the
events' ids.
"""

from __future__ import annotations

import heapq
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.errors import UsageError
from imgpipe.operate import parallel
from imgpipe.operate.times import from_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from imgpipe.deploy.graph import Branch, Graph
    from imgpipe.operate.project import Project

OVERLAP_MS = 10_000
"""How far back following asks again: later than that, an event is missed."""
REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Line:
    """An event of a function's log. `function` is its short name."""

    at: datetime
    function: str
    text: str
    id: str


def branches(graph: Graph, name: str | None) -> tuple[Branch, ...]:
    """Return the functions that `name` means: a step, a function by short or full name; all when it
    is None.

    Raises UsageError for a name that means none.
    """
    found = tuple(
        branch
        for branch in graph.branches
        if name in (None, branch.name, branch.function) or name in branch.steps
    )
    if not found:
        known = sorted({word for branch in graph.branches for word in (branch.name, *branch.steps)})
        raise UsageError(f"step {name!r}", f"the steps and functions are {', '.join(known)}")
    logged = tuple(branch for branch in found if branch.log_group)
    if not logged:
        raise UsageError(
            f"step {name!r}",
            "its workers log where they run, not in CloudWatch",
            hint="look at the terminal, container or journal of imgpipe worker",
        )
    return logged


def since(project: Project, wanted: Sequence[Branch], start: datetime) -> Iterator[Line]:
    """Yield what was logged since `start`, the oldest first. Holds a page a function."""
    start_ms = int(start.timestamp() * 1000)
    yield from _merged(project, wanted, start_ms)


def follow(
    project: Project,
    wanted: Sequence[Branch],
    start: datetime,
    sleep: Callable[[float], None] = time.sleep,
    interval_s: float = 1.0,
) -> Iterator[Line]:
    """Yield what was logged since `start` and go on with what is logged from now on, for ever."""
    seen: OrderedDict[str, None] = OrderedDict()
    from_ms_ = int(start.timestamp() * 1000)
    latest = from_ms_
    while True:
        for line in _merged(project, wanted, from_ms_):
            if line.id not in seen:
                seen[line.id] = None
                yield line
            latest = max(latest, int(line.at.timestamp() * 1000))
        while len(seen) > REMEMBERED:
            seen.popitem(last=False)
        from_ms_ = max(from_ms_, latest - OVERLAP_MS)
        sleep(interval_s)


def _merged(project: Project, wanted: Sequence[Branch], start_ms: int) -> Iterator[Line]:
    logs = project.cloud.client("logs")
    firsts = parallel.together(*(partial(_page, logs, branch, start_ms, None) for branch in wanted))
    streams = [
        _lines(logs, branch, start_ms, first) for branch, first in zip(wanted, firsts, strict=True)
    ]
    return heapq.merge(*streams, key=attrgetter("at"))


def _lines(logs: Any, branch: Branch, start_ms: int, page: Mapping[str, Any]) -> Iterator[Line]:
    while True:
        yield from sorted(
            (_line(branch, event) for event in page.get("events", [])), key=attrgetter("at")
        )
        token = page.get("nextToken")
        if not token:
            return
        page = _page(logs, branch, start_ms, token)


def _page(logs: Any, branch: Branch, start_ms: int, token: str | None) -> Mapping[str, Any]:
    more = {"nextToken": token} if token else {}
    try:
        page: Mapping[str, Any] = logs.filter_log_events(
            logGroupName=branch.log_group, startTime=start_ms, **more
        )
    except logs.exceptions.ClientError as error:
        raise explain(error, f"log of {branch.name}") from error
    return page


def _line(branch: Branch, event: Mapping[str, Any]) -> Line:
    text = event["message"].rstrip("\n")
    fallback = f"{event.get('logStreamName')}/{event['timestamp']}/{text}"
    return Line(from_ms(event["timestamp"]), branch.name, text, event.get("eventId") or fallback)
