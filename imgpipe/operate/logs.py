"""The functions' logs, merged by time: what happened since a moment, then what happens next.

An empty page with a token is not the end. Events come late and out of order between streams, so
following asks again for the last seconds each time and leaves out what was shown already, by the
events' ids.

With a search it is the lines of whole invocations (see `log_search`): of those that worked on one image, or of one
request. `errors` alone asks CloudWatch for failures only.
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
from imgpipe.operate import log_search, parallel
from imgpipe.operate.branches import named
from imgpipe.operate.log_search import Line
from imgpipe.operate.times import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from imgpipe.deploy.graph import Branch, Graph
    from imgpipe.operate.project import Project

OVERLAP_MS = 10_000
"""How far back following asks again: later than that, an event is missed."""
REMEMBERED = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines: all of them unless something is asked for. `keys` are the full keys that a KEY may stand for."""

    keys: tuple[str, ...] = ()
    request: str = ""
    errors: bool = False

    @property
    def whole_invocations(self) -> bool:
        return bool(self.keys or self.request)


EVERYTHING = Wanted()


def branches(graph: Graph, name: str | None) -> tuple[Branch, ...]:
    """Return the functions that `name` means: a step, a function by short or full name; all when it
    is None.

    Raises UsageError for a name that means none.
    """
    every = (*graph.branches, *graph.called)
    found = every if name is None else named(every, name)
    if not found:
        known = sorted({word for branch in every for word in (branch.name, *branch.steps)})
        raise UsageError(f"step {name!r}", f"the steps and functions are {', '.join(known)}")
    logged = tuple(branch for branch in found if branch.log_group)
    if not logged:
        raise UsageError(
            f"step {name!r}",
            "its workers log where they run, not in CloudWatch",
            hint="look at the terminal, container or journal of imgpipe worker",
        )
    return logged


def since(
    project: Project, functions: Sequence[Branch], start: datetime, wanted: Wanted = EVERYTHING
) -> Iterator[Line]:
    """Yield what was logged since `start`, the oldest first. Holds a page a function."""
    if wanted.whole_invocations:
        yield from _found(project, functions, start, wanted)
        return
    pattern = log_search.ERROR_PATTERN if wanted.errors else ""
    for line in _merged(project, functions, to_ms(start), pattern):
        if not wanted.errors or line.is_error:
            yield line


def follow(
    project: Project,
    functions: Sequence[Branch],
    start: datetime,
    wanted: Wanted = EVERYTHING,
    sleep: Callable[[float], None] = time.sleep,
    interval_s: float = 1.0,
) -> Iterator[Line]:
    """Yield what was logged since `start` and go on with what is logged from now on, for ever."""
    seen: OrderedDict[str, None] = OrderedDict()
    from_ms_ = latest = to_ms(start)
    while True:
        for line in since(project, functions, from_ms(from_ms_), wanted):
            if line.id not in seen:
                seen[line.id] = None
                yield line
            latest = max(latest, to_ms(line.at))
        while len(seen) > REMEMBERED:
            seen.popitem(last=False)
        from_ms_ = max(from_ms_, latest - OVERLAP_MS)
        sleep(interval_s)


def _found(
    project: Project, functions: Sequence[Branch], start: datetime, wanted: Wanted
) -> Iterator[Line]:
    if wanted.request:
        runs = log_search.by_request(project, functions, wanted.request, start)
    else:
        runs = log_search.by_key(project, functions, wanted.keys, start)
    lines = [line for run in runs for line in _of_run(run, wanted)]
    yield from sorted(lines, key=attrgetter("at"))


def _of_run(run: log_search.Invocation, wanted: Wanted) -> Iterator[Line]:
    lines = run.about(wanted.keys) if wanted.keys else run.lines
    return (line for line in lines if not wanted.errors or line.is_error)


def _merged(
    project: Project, functions: Sequence[Branch], start_ms: int, pattern: str
) -> Iterator[Line]:
    logs = project.cloud.client("logs")
    pages = [partial(_page, logs, branch, start_ms, pattern) for branch in functions]
    firsts = parallel.together(*(partial(page, None) for page in pages))
    streams = [
        _lines(branch, page, first)
        for branch, page, first in zip(functions, pages, firsts, strict=True)
    ]
    return heapq.merge(*streams, key=attrgetter("at"))


def _lines(
    branch: Branch, read: Callable[[str], Mapping[str, Any]], page: Mapping[str, Any]
) -> Iterator[Line]:
    while True:
        lines = (log_search.line_of(branch, event) for event in page.get("events", []))
        yield from sorted(lines, key=attrgetter("at"))
        token = page.get("nextToken")
        if not token:
            return
        page = read(token)


def _page(
    logs: Any, branch: Branch, start_ms: int, pattern: str, token: str | None
) -> Mapping[str, Any]:
    more = {"nextToken": token} if token else {}
    if pattern:
        more["filterPattern"] = pattern
    try:
        page: Mapping[str, Any] = logs.filter_log_events(
            logGroupName=branch.log_group, startTime=start_ms, **more
        )
    except logs.exceptions.ClientError as error:
        raise explain(error, f"log of {branch.name}") from error
    return page
