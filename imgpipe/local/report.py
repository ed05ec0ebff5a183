"""What the server says about itself: memory, data on disk, functions."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe.local import disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgpipe.local.lambda_runtime.install import Runtime
    from imgpipe.local.layout import Layout


def reporter(layout: Layout, functions: Runtime) -> Callable[[], dict[str, Any]]:
    """Return a function that looks now."""
    began = time.time()

    def look() -> dict[str, Any]:
        return {
            "uptime_s": round(time.time() - began, 1),
            "memory_bytes": resident_bytes(),
            "data_bytes": size_of(layout.data),
            "disk_free_bytes": disk.free_bytes(layout.data),
            "functions": functions.pool.warm(),
            "invocations_running": functions.turns.running(),
            "invocations_waiting": functions.turns.waiting(),
        }

    return look


def resident_bytes() -> int:
    """Return the memory of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def size_of(folder: Path) -> int:
    """Return the bytes in all files under `folder`; what vanishes meanwhile doesn't count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue
    return total
