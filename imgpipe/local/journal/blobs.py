"""The bytes of S3 objects and parts: one file each, written once, shared by copies, deleted when no entry names it.

A file is written before the entry that names it is committed, and deleted after the entry that no longer does: whatever
the moment of a crash, what the journal names is there. What a crash leaves over, `sweep` takes away at the next start.
"""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from imgpipe.local import disk
from imgpipe.local.journal.store import JournalError


class Blobs:
    """Files by name. `refer` says which names an entry needs; `settle` deletes what has become needless."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._needs: dict[str, tuple[str, ...]] = {}
        self._count: Counter[str] = Counter()
        self._changed: dict[str, tuple[str, ...]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def write(self, data: bytes) -> str:
        """Store the bytes and return their name. Raises JournalError when the disk doesn't take them.

        Or would have no room for the entry then, which would be there in memory alone, for a request that is refused.
        """
        name = uuid.uuid4().hex
        path = self.path(name)
        if disk.free_bytes(self._folder) < len(data) + disk.SCARCE_BYTES:
            raise JournalError(f"{path}: {disk.NO_SPACE}")
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise JournalError(f"{path}: {error}") from error
        return name

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def drop(self, name: str) -> None:
        """Delete bytes that no entry came to need."""
        with contextlib.suppress(OSError):
            self.path(name).unlink(missing_ok=True)

    def refer(self, entry: str, names: Collection[str]) -> None:
        """Note what an entry that is about to be committed needs."""
        self._changed[entry] = tuple(names)

    def settle(self) -> None:
        """After a commit: count again, and delete what nobody needs any more."""
        changed, self._changed = self._changed, {}
        doubtful: set[str] = set()
        for entry, names in changed.items():
            before = self._needs.pop(entry, ())
            self._count.update(names)
            self._count.subtract(before)
            doubtful.update(before)
            if names:
                self._needs[entry] = names
        for name in doubtful:
            if self._count[name] <= 0:
                del self._count[name]
                self.drop(name)

    def sweep(self) -> None:
        """At the start, when every entry has referred: delete what a crash left over."""
        self.settle()
        for path in self._folder.glob("*/*"):
            if path.name not in self._count:
                self.drop(path.name)
