"""The kernel's limits on the child. They hold also when the function that should watch it is stopped
or gone.
"""

from __future__ import annotations

import contextlib
import math
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.runtime.settings import Limits

MOST_WRITTEN_BYTES = 512_000_000
"""Of one file, and of all variants of an image together: RLIMIT_FSIZE."""
ALARM_S = 2.0
"""By how many seconds later than the function the child itself ends what takes too long."""
_FIRST_TO_END = "1000"


class Fences:
    """The limits, over what came with the fork: that is shared with the function, and no image's."""

    def __init__(self) -> None:
        """Limit this process for good: no core dumps, no large files, the first to end when memory
        runs out.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the function decides when the child ends
        for number in (signal.SIGXCPU, signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails, with an error to be told
        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_FSIZE, MOST_WRITTEN_BYTES)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_END)
        self._data_bytes, self._resident_bytes = _data_and_resident()

    def allow(self, limits: Limits) -> None:
        """Let this process have an image's memory and, from now on, its time.

        RLIMIT_DATA counts private memory that can be written to (since Linux 4.7), so neither
        libraries nor the address space that threads only reserve, as RLIMIT_AS does. The time is of
        the processor, so that a busy machine costs no picture, and of all threads together; the
        kernel's own limit, in whole seconds, is behind the timer. The alarm is for a function that
        was killed: the child that it can't kill any more ends itself.
        """
        _lower(resource.RLIMIT_DATA, self._data_bytes + limits.memory_bytes)
        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed_s = limits.decode_s + 1
        _lower(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + allowed_s))
        signal.setitimer(signal.ITIMER_PROF, limits.decode_s)
        signal.setitimer(signal.ITIMER_REAL, limits.clock_s + ALARM_S)

    def relax(self) -> None:
        """Stop the clocks: nobody knows when the next image comes."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def has_grown(self, limits: Limits) -> bool:
        """Say whether this process keeps so much memory that the next image could miss it."""
        return _data_and_resident()[1] - self._resident_bytes > limits.memory_bytes // 4


def _data_and_resident() -> tuple[int, int]:
    """Return this process's private writable and resident memory; 0 where the system doesn't say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_bytes().split()
        return int(pages[5]) * resource.getpagesize(), int(pages[1]) * resource.getpagesize()
    return 0, 0


def _lower(what: int, most: int) -> None:
    """Set the limit that can be raised again, but not over the one that can't."""
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses some
        resource.setrlimit(what, (most, hard))
