"""File after file: in this process, or in several that each take the next file.

Results come in the order of the files; of what is under way, never more than a few files are held.
"""

from __future__ import annotations

import signal
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING

from imgpipe.operate.process.work import Processed, Task, one, refused
from imgpipe.runtime.errors import Reason, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from imgpipe.operate.process.files import File, NoFile
    from imgpipe.operate.process.functions import Function
    from imgpipe.runtime.made import Make

AHEAD = 2
"""Files that each process has waiting."""

_told: list[tuple[Task, Sequence[tuple[Function, Make]]]] = []
"""What a worker process was told when it began."""


def process(
    files: Iterable[File | NoFile], task: Task, *, processes: int = 1
) -> Iterator[Processed]:
    """Yield how each file ended, and write its variants to `task.out/<variant>/`."""
    if processes > 1:
        yield from _spread(iter(files), task, processes)
        return
    makes = task.makes()
    for file in files:
        yield one(file, task, makes)


def _spread(files: Iterator[File | NoFile], task: Task, processes: int) -> Iterator[Processed]:
    waiting: deque[File | NoFile] = deque()
    while True:
        with _pool(task, processes) as pool:
            try:
                yield from _through(pool, files, waiting, AHEAD * processes)
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
            else:
                return
        while waiting:
            yield _alone(waiting.popleft(), task)


def _through(
    pool: ProcessPoolExecutor,
    files: Iterator[File | NoFile],
    waiting: deque[File | NoFile],
    most: int,
) -> Iterator[Processed]:
    """Yield ends as they come. When a process dies, `waiting` holds the files that have none."""
    running: deque[Future[Processed]] = deque()
    while True:
        for file in islice(files, most - len(running)):
            waiting.append(file)
            running.append(pool.submit(_work, file))
        if not running:
            return
        end = running[0].result()
        running.popleft()
        waiting.popleft()
        yield end


def _alone(file: File | NoFile, task: Task) -> Processed:
    """Work on a file in a process of its own: it may be the one that killed the others'."""
    with _pool(task, 1) as pool:
        try:
            return pool.submit(_work, file).result()
        except BrokenProcessPool:
            return refused(file.path, Rejected(Reason.WORKER_CRASH))


def _pool(task: Task, processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(task,)
    )


def _begin(task: Task) -> None:
    """Get a worker ready. Ctrl-C reaches it too, but it is the command that says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _told[:] = [(task, task.makes())]


def _work(file: File | NoFile) -> Processed:
    task, makes = _told[0]
    return one(file, task, makes)
