"""The memory of an embedded cloud's processes, watched while it works."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

EVERY_S = 0.25
LEVELS = ("server", "function", "image")
"""The server starts functions, and a function the child that its images are worked on in."""


@dataclass
class Peaks:
    """The most memory that a process of each level held, in MB, and which processes there were."""

    mb: dict[str, int] = field(default_factory=dict)
    seen: dict[str, set[int]] = field(default_factory=dict)

    def look(self, root: int) -> None:
        level, pids = 0, {root}
        parents = _parents()
        while pids and level < len(LEVELS):
            name = LEVELS[level]
            self.seen.setdefault(name, set()).update(pids)
            found = max((_peak_mb(pid) for pid in pids), default=0)
            self.mb[name] = max(self.mb.get(name, 0), found)
            pids = {pid for pid, parent in parents.items() if parent in pids}
            level += 1


@contextlib.contextmanager
def watched(root: int) -> Iterator[Peaks]:
    """Watch the process `root` and those that it starts."""
    peaks, stop = Peaks(), threading.Event()

    def watch() -> None:
        while not stop.wait(EVERY_S):
            peaks.look(root)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()
        peaks.look(root)


def _parents() -> dict[int, int]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            rest = path.read_text().rpartition(")")[2].split()
            found[int(path.parent.name)] = int(rest[1])
    return found


def _peak_mb(pid: int) -> int:
    with contextlib.suppress(OSError):
        told = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(told[1]) // 1024 if told else 0
    return 0
