"""What the embedded cloud has accepted, on disk before it answers.

One SQLite database of (kind, key, JSON) entries. A change in memory *marks* its entry; `commit` writes every marked
entry in one transaction, so what one request changed (an object, the messages that announce it, the invocation that
follows) is there whole after a crash, or not at all. An entry is encoded when it is committed, not when it is marked:
a message that was received and deleted within one commit is written once, as a deletion.

`synchronous=NORMAL` and not FULL: what has been handed to the kernel survives a `kill -9` of this process, which is
the promise. A power cut may take the last seconds (never the database), and an fsync a request would cost ten times
the throughput for a promise that a cloud for development doesn't make.

A commit that fails keeps its marks, so that the disk catches up with memory as soon as there is room.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

log = logging.getLogger("journal")

Encode = Callable[[], str | None]
"""Returns the entry's JSON, or None when it is to be deleted."""

CHECKPOINT_COMMITS = 1_000
"""Commits between two checkpoints; the write-ahead log then holds some ten megabytes."""

_CREATE = (
    "CREATE TABLE IF NOT EXISTS entry (kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key))"
)
_UPSERT = "INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"


class JournalError(Exception):
    """The disk didn't take a change."""


class Journal:
    """Entries by (kind, key). Safe to mark from any thread; commits are serialized."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._marked: dict[tuple[str, str], Encode] = {}
        self._marks = threading.RLock()
        self._writes = threading.Lock()
        self._commits = 0
        self._failing = False
        self._checkpointing = threading.Lock()
        self._db = self._connect()
        self._db.execute(_CREATE)
        self.on_mark: Callable[[], None] = lambda: None
        """Called after a mark when there was none: whoever answers requests arranges for a commit."""

        self.after_commit: list[Callable[[], None]] = []
        """Called after every commit that wrote something."""

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=5)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA wal_autocheckpoint=0")  # its fsync would stall an answer
        return db

    @property
    def folder(self) -> Path:
        """Where the entries are, and so the disk that must take them."""
        return self._path.parent

    @property
    def failing(self) -> bool:
        """True from a commit that failed to the next one that succeeds."""
        return self._failing

    def mark(self, kind: str, key: str, encode: Encode) -> None:
        """Note that the entry changed. It is encoded and written at the next commit."""
        with self._marks:
            first = not self._marked
            self._marked[kind, key] = encode
        if first:
            self.on_mark()

    @contextlib.contextmanager
    def atomic(self) -> Iterator[None]:
        """Keep commits out, for changes in several places that must reach the disk together. Keep it short."""
        with self._marks:
            yield

    def commit(self) -> None:
        """Write all that is marked. Raises JournalError, with the marks kept, when the disk doesn't take it."""
        if not self._marked:
            return
        with self._writes:
            with self._marks:
                batch, self._marked = self._marked, {}
                rows = self._encode(batch)
            try:
                self._write(rows)
            except sqlite3.Error as error:
                self._failing = True
                with self._marks:
                    self._marked = {**batch, **self._marked}
                raise JournalError(f"{self._path}: {error}") from error
            self._failing = False
            for call in self.after_commit:
                call()
        self._count()

    def _encode(self, batch: dict[tuple[str, str], Encode]) -> list[tuple[str, str, str | None]]:
        """Encode each entry. One that can't be is a fault of ours: said aloud, and no reason to keep the others."""
        rows = []
        for (kind, key), encode in batch.items():
            try:
                rows.append((kind, key, encode()))
            except JournalError:
                self._marked = {**batch, **self._marked}
                self._failing = True
                raise
            except Exception:
                log.exception("the %s entry %s can't be encoded", kind, key)
        return rows

    def _write(self, rows: list[tuple[str, str, str | None]]) -> None:
        kept = [row for row in rows if row[2] is not None]
        gone = [row[:2] for row in rows if row[2] is None]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(_UPSERT, kept)
            self._db.executemany("DELETE FROM entry WHERE kind = ? AND key = ?", gone)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def load(self, kind: str) -> list[tuple[str, str]]:
        """Return the (key, JSON) of every entry of a kind, in the order of their keys."""
        rows = self._db.execute("SELECT key, value FROM entry WHERE kind = ? ORDER BY key", (kind,))
        return [(str(key), str(value)) for key, value in rows]

    def _count(self) -> None:
        self._commits += 1
        if self._commits % CHECKPOINT_COMMITS == 0:
            threading.Thread(target=self.checkpoint, name="journal-checkpoint", daemon=True).start()

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database, beside the commits; only the last bit holds them up."""
        if not self._checkpointing.acquire(blocking=False):
            return
        try:
            db = self._connect()
            try:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                db.close()
        except sqlite3.Error:
            return  # a full disk: the log stays, the next checkpoint moves it
        finally:
            self._checkpointing.release()

    def close(self) -> None:
        """Commit what is marked and fold the log into the database."""
        try:
            self.commit()
        finally:
            with self._writes:
                self._db.close()
