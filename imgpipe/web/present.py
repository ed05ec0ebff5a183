"""The project as it is declared now: a console is open for hours, and pipeline.yaml and code change meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from imgpipe.errors import ImgpipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from imgpipe.operate.project import Project

Mark = frozenset[tuple[str, int, int]]


class Present:
    """`reopen` reads the declaration anew. May be asked by several threads."""

    def __init__(self, project: Project, reopen: Callable[[], Project]) -> None:
        self._project, self._reopen = project, reopen
        self._mark, self._lock = mark(project.folder), threading.Lock()

    def project(self) -> Project:
        """Return it; while what is declared can't be read, as it was last."""
        try:
            return self.examined()
        except ImgpipeError:
            return self._project

    def examined(self) -> Project:
        """Return it. Raises UsageError while what is declared can't be read."""
        with self._lock:
            now = mark(self._project.folder)
            if now != self._mark:
                opened = self._reopen()
                opened.cloud.impatient = self._project.cloud.impatient
                self._project, self._mark = opened, now
            return self._project


def mark(folder: Path) -> Mark:
    """Return what changes whenever somebody edits what a pipeline is made of: names, sizes in bytes, times."""
    return frozenset(_marks(folder))


def _marks(folder: Path) -> Iterator[tuple[str, int, int]]:
    for pattern in ("*.y*ml", "lambdas/**/*"):
        for path in folder.glob(pattern):
            try:
                found = path.stat()
            except OSError:  # it was removed this moment
                continue
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path), found.st_size, found.st_mtime_ns
