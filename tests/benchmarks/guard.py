"""What the child process costs: the same photographs with it and without, interleaved, and its start.

`way_ms` is the cost to an image: bytes in, results out, the wait; what is left when the work in the
child is taken from the whole. `start_ms` is paid once a child.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from imgpipe.runtime import image
from imgpipe.runtime.guard import Guard
from imgpipe.runtime.made import Made, Make
from imgpipe.runtime.settings import Limits
from tests.benchmarks.timing import spread
from tests.photos import photographs

WANTED = {
    "sizes": {
        "variants": {"large": {"width": 1600}, "medium": {"width": 800}, "thumb": {"width": 200}}
    }
}
ROUNDS = 5
STARTS = 20
LIMITS = Limits()


def measure() -> dict[str, Any]:
    photos = [path.read_bytes() for path in photographs()]
    guarded = Guard(image.make)
    for data in photos[:2]:
        _ms(image.make, data)
        guarded(data, WANTED, LIMITS)
    rows = [_both(guarded, data) for data in photos for _ in range(ROUNDS)]
    guarded.close()
    plain, whole, way = zip(*rows, strict=True)
    return {
        "photographs": len(photos),
        "bytes": spread([len(data) for data in photos]),
        "in_process_ms": spread(plain),
        "guarded_ms": spread(whole),
        "way_ms": spread(way),
        "start_ms": spread([_start_ms() for _ in range(STARTS)]),
        "memory_mb": round(_own_memory_mb(photos[0]), 1),
    }


def _both(guarded: Guard, data: bytes) -> tuple[float, float, float]:
    started = time.perf_counter()
    done = guarded.work(data, WANTED, LIMITS)
    whole = (time.perf_counter() - started) * 1000
    return _ms(image.make, data), whole, whole - done.ms


def _ms(make: Make, data: bytes) -> float:
    started = time.perf_counter()
    make(data, WANTED, LIMITS)
    return (time.perf_counter() - started) * 1000


def _nothing(*_: Any) -> dict[str, Made]:
    return {}


def _start_ms() -> float:
    """Return how much longer the first answer takes than the second, when there is no work."""
    guarded = Guard(_nothing)
    first, second = (_ms(guarded, b"") for _ in range(2))
    guarded.close()
    return first - second


def _own_memory_mb(data: bytes) -> float:
    """Return what a child holds for itself after a photograph: private pages, not the function's."""
    guarded = Guard(image.make)
    guarded(data, WANTED, LIMITS)
    (child,) = guarded._idle
    told = Path(f"/proc/{child.pid}/smaps_rollup").read_text()
    guarded.close()
    held = [line.split()[1] for line in told.splitlines() if line.startswith("Private_Dirty")]
    return statistics.fsum(map(int, held)) / 1024
