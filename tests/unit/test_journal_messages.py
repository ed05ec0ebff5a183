"""Queues that note their own changes: whatever is done to them, the journal brings back the same."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.local.journal.messages import MessageList, Queue, QueueStore
from imgpipe.local.journal.store import Journal

KEY = ("000000000000", "eu-west-1", "http://127.0.0.1/000000000000/q")


def queue(book: Journal, uid: str = "u") -> Queue:
    return Queue({"name": uid, "_uid": uid, "attributes": {}, "messages": []}, book)


def send(one: Queue, _other: Queue, number: int) -> None:
    one["messages"].append({"id": str(number), "visible_at": 0, "receive_count": 0})


def receive(one: Queue, _other: Queue, number: int) -> None:
    message = one["messages"][number % len(one["messages"])]
    message["visible_at"] = number
    message["receive_count"] += 1


def delete(one: Queue, _other: Queue, number: int) -> None:
    gone = one["messages"][number % len(one["messages"])]
    one["messages"] = [message for message in one["messages"] if message is not gone]


def keep(one: Queue, _other: Queue, _number: int) -> None:
    one["messages"] = [message for message in one["messages"] if message["receive_count"] == 0]


def move(one: Queue, other: Queue, number: int) -> None:
    message = one["messages"][number % len(one["messages"])]
    one["messages"].remove(message)
    other["messages"].append({**message, "receive_count": 0})


def pop(one: Queue, _other: Queue, number: int) -> None:
    one["messages"].pop(number % len(one["messages"]))


def insert(one: Queue, _other: Queue, _number: int) -> None:
    one["messages"].insert(len(one["messages"]), {"id": "inserted", "receive_count": 0})


def assign(one: Queue, _other: Queue, _number: int) -> None:
    one["messages"] = [*one["messages"], {"id": "assigned", "receive_count": 0}]


def purge(one: Queue, _other: Queue, _number: int) -> None:
    one["messages"].clear()


Operation = Callable[[Queue, Queue, int], None]
operations = st.lists(
    st.tuples(
        st.sampled_from([send, send, receive, delete, keep, move, pop, insert, assign, purge]),
        st.integers(0, 9),
    ),
    max_size=25,
)


def restored(path: Path, uid: str) -> list[dict[str, Any]]:
    journal = Journal(path)
    found = MessageList(journal, uid)
    for key, text in journal.load("message"):
        if key.startswith(f"{uid}/"):
            found.restore(int(key.partition("/")[2], 16), json.loads(text))
    journal.close()
    return [dict(message) for message in found]


@given(done=operations)
def test_any_sequence_of_changes_comes_back_the_same(
    done: list[tuple[Operation, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    journal = Journal(path)
    one, other = queue(journal, "one"), queue(journal, "other")
    for number, (operation, choice) in enumerate(done):
        (operation if one["messages"] else send)(one, other, choice)
        if number % 3 == 0:
            journal.commit()
    journal.commit()

    assert restored(path, "one") == [dict(message) for message in one["messages"]]
    assert restored(path, "other") == [dict(message) for message in other["messages"]]
    journal.close()


def test_a_message_sent_while_another_thread_deletes_is_not_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    one = queue(journal)
    one["messages"].append({"id": "old"})
    kept = [message for message in one["messages"] if message["id"] != "old"]
    sender = threading.Thread(target=one["messages"].append, args=({"id": "sent meanwhile"},))
    sender.start()
    sender.join()
    one["messages"] = kept

    assert [message["id"] for message in one["messages"]] == ["sent meanwhile"]
    journal.close()


def test_an_assignment_without_reading_first_replaces_everything(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    one = queue(journal)
    one["messages"].append({"id": "old"})
    one["messages"] = []

    assert list(one["messages"]) == []
    journal.close()


def test_a_queue_made_anew_never_sees_the_messages_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    store = QueueStore(journal, {})
    store[KEY] = {"name": "q", "attributes": {}, "messages": [{"id": "old"}]}
    old = store[KEY]["_uid"]
    journal.commit()
    store.pop(KEY)
    store[KEY] = {"name": "q", "attributes": {}, "messages": []}
    journal.commit()

    assert store[KEY]["_uid"] != old
    assert restored(path, old) == []
    journal.close()
