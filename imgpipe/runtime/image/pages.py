"""The memory of one picture kept for the next.

Of itself glibc gives a picture's memory back to the kernel and asks for it anew, a page at a time: with
pictures of some sizes a whole job has 5,000 to 7,500 page faults, and they take 10 to 15 ms.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache

KEPT_BYTES = 64 << 20
"""Free memory that isn't given back: what JPEGs of 40 MP take."""
FROM_BYTES = 256 << 20
"""Of less memory for a picture too little would be left: `guard` ends a child that keeps a quarter."""
LARGE_BYTES = 32 << 20
"""What is asked of the kernel by itself, and given back at once. Pillow's blocks are half as large."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_CHOSEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


@lru_cache(maxsize=1)
def keep(memory_bytes: int) -> None:
    """Let this process keep its pages from now on, unless its environment says how many (mallopt(3)).

    `memory_bytes` is what a picture may take.
    """
    if memory_bytes < FROM_BYTES or sys.platform != "linux":
        return
    if any(name in os.environ for name in _CHOSEN):
        return
    import ctypes  # takes 2 ms: of the first picture's time, not of a cold start's

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt:
        mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
