"""Many calls at once over a stream of work, never more than a few ahead of whoever takes the results."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from threading import Event

Item = TypeVar("Item")
Result = TypeVar("Result")


def stream(
    do: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    stopping: Event | None = None,
) -> Iterator[Result]:
    """Yield `do(item)` of each item, in the order they finish; at most two items a worker are under
    way.

    The first exception ends it, once the calls under way have returned. So does closing the
    generator: what has not begun never begins, and what takes long sees that `stopping` is set.
    """
    pool = ThreadPoolExecutor(workers, "imgpipe")
    waiting = iter(items)
    running: set[Future[Result]] = set()
    try:
        while True:
            running |= {
                pool.submit(do, item) for item in islice(waiting, 2 * workers - len(running))
            }
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        if stopping is not None:
            stopping.set()
        pool.shutdown(wait=True, cancel_futures=True)


def together(*calls: Callable[[], Result]) -> list[Result]:
    """Call all at once and return their results in order."""
    if not calls:
        return []
    with ThreadPoolExecutor(len(calls), "imgpipe") as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
