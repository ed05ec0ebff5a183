"""Where one project's embedded cloud keeps its things: `<project>/.imgpipe/`, and the locks in it.

A lock is an `flock`, which the kernel takes back from a dead process: after `kill -9` nothing is
stale, and no process id has to be guessed about.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = ".imgpipe"
PRIVATE = 0o600
LOOK_AGAIN_S = 0.01


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a project's data folder."""

    project: Path

    @property
    def data(self) -> Path:
        return self.project.resolve() / NAME

    @property
    def announcement(self) -> Path:
        """Who serves, and how to reach it. Written when ready to serve, removed at a clean stop."""
        return self.data / "cloud.json"

    @property
    def log(self) -> Path:
        return self.data / "cloud.log"

    @property
    def keys(self) -> Path:
        return self.data / "keys.json"

    @property
    def port(self) -> Path:
        return self.data / "port"

    @property
    def state(self) -> Path:
        return self.data / "state"

    @property
    def mail(self) -> Path:
        return self.data / "mail"

    @property
    def run(self) -> Path:
        """What can be made again: functions' code laid out, their temporary folders."""
        return self.data / "run"

    @property
    def serving(self) -> Path:
        """Locked by the server as long as it lives."""
        return self.data / "server.lock"

    @property
    def starting(self) -> Path:
        """Locked by whoever starts, stops or resets the server."""
        return self.data / "start.lock"

    def make(self) -> None:
        """Create the folder, for its owner only and hidden from git."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = self.data / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")


def take(path: Path, patience_s: float = 0.0) -> IO[str] | None:
    """Lock `path`; None when another process holds it. Closing the file unlocks.

    A little patience passes over those who only look.
    """
    file = path.open("a+")
    deadline = time.monotonic() + patience_s
    while not _lock(file, fcntl.LOCK_EX):
        if time.monotonic() >= deadline:
            file.close()
            return None
        time.sleep(LOOK_AGAIN_S)
    return file


def is_taken(path: Path) -> bool:
    """Return whether a living process holds the lock."""
    if not path.exists():
        return False
    with path.open("a+") as file:
        return not _lock(file, fcntl.LOCK_SH)


def is_same(held: IO[str], path: Path) -> bool:
    """Return whether `path` is still the file that was locked."""
    try:
        return os.path.samestat(os.fstat(held.fileno()), path.stat())
    except OSError:
        return False


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for the lock and hold it."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_whole(path: Path, value: Any, mode: int = PRIVATE) -> None:
    """Write `value` as JSON, so that a reader meets the old file or the new one, never a part."""
    partial = path.with_suffix(f"{path.suffix}.{os.getpid()}.tmp")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    partial.replace(path)


def read_json(path: Path) -> Any:
    """Return the JSON in `path`, or None when there is none or it is broken."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
