"""The journal: what is marked and committed is what the next process finds."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.local.journal.store import CHECKPOINT_COMMITS, Journal, JournalError

Change = tuple[str, str, str | None]

changes = st.lists(
    st.tuples(
        st.sampled_from(["message", "item"]),
        st.sampled_from(["a", "b", "c/é\n"]),
        st.none() | st.text(max_size=5),
    ),
    max_size=20,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    with contextlib.suppress(sqlite3.ProgrammingError):
        journal.close()


def contents(path: Path) -> dict[tuple[str, str], str]:
    journal = Journal(path)
    found = {
        (kind, key): value for kind in ("message", "item") for key, value in journal.load(kind)
    }
    journal.close()
    return found


@given(batches=st.lists(changes, max_size=5), uncommitted=changes)
def test_a_crash_leaves_exactly_what_was_committed(
    batches: list[list[Change]], uncommitted: list[Change], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    journal, expected = Journal(path), {}
    for batch in batches:
        for kind, key, value in batch:
            journal.mark(kind, key, lambda value=value: value)
            expected[kind, key] = value
        journal.commit()
    for kind, key, value in uncommitted:
        journal.mark(kind, key, lambda value=value: value)

    assert contents(path) == {key: value for key, value in expected.items() if value is not None}
    journal.close()


def test_an_entry_is_encoded_as_it_is_when_it_is_committed(journal: Journal) -> None:
    state = ["first"]
    journal.mark("item", "a", lambda: state[0])
    state[0] = "second"
    journal.commit()

    assert journal.load("item") == [("a", "second")]


def test_entries_come_back_in_the_order_of_their_keys(journal: Journal) -> None:
    for key in ("b", "a", "c"):
        journal.mark("item", key, lambda: "x")
    journal.commit()

    assert [key for key, _ in journal.load("item")] == ["a", "b", "c"]


def test_what_is_atomic_is_not_split_by_a_commit(journal: Journal) -> None:
    import threading

    entered, committed = threading.Event(), threading.Event()

    def commit() -> None:
        entered.wait(5)
        journal.commit()
        committed.set()

    other = threading.Thread(target=commit)
    other.start()
    with journal.atomic():
        journal.mark("item", "a", lambda: "x")
        entered.set()
        assert not committed.wait(0.05)
        journal.mark("item", "b", lambda: "x")
    other.join(5)

    assert [key for key, _ in journal.load("item")] == ["a", "b"]


def test_an_entry_that_cannot_be_encoded_does_not_keep_the_others(journal: Journal) -> None:
    def broken() -> str:
        raise TypeError("no JSON")

    journal.mark("item", "a", broken)
    journal.mark("item", "b", lambda: "x")
    journal.commit()

    assert [key for key, _ in journal.load("item")] == ["b"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_commit_that_fails_keeps_its_marks_until_there_is_room(journal: Journal) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal.mark("item", "a", lambda: "x" * 1_000_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(JournalError):
            journal.commit()
        assert journal.failing
        assert journal.load("item") == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal.mark("item", "b", lambda: "y")
    journal.commit()

    assert not journal.failing
    assert [key for key, _ in journal.load("item")] == ["a", "b"]


def test_the_log_is_folded_into_the_database(journal: Journal, tmp_path: Path) -> None:
    for number in range(CHECKPOINT_COMMITS // 2):
        journal.mark("item", str(number), lambda: "x" * 100)
        journal.commit()
    journal.checkpoint()

    assert (tmp_path / "journal.db-wal").stat().st_size == 0
    assert len(journal.load("item")) == CHECKPOINT_COMMITS // 2
