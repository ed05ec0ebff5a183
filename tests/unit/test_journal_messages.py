"""Queues that note their own changes: whatever is done to them, the journal brings back the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.local.journal.messages import MessageList, Queue, QueueStore
from imgpipe.local.journal.store import Journal

KEY = ("000000000000", "eu-west-1", "http://127.0.0.1/000000000000/q")

operations = st.lists(
    st.tuples(
        st.sampled_from(
            ["send", "receive", "delete", "keep", "move", "pop", "insert", "assign", "purge"]
        ),
        st.integers(0, 9),
    ),
    max_size=25,
)


def queue(book: Journal, uid: str = "u") -> Queue:
    return Queue({"name": uid, "_uid": uid, "attributes": {}, "messages": []}, book)


def apply(operation: str, number: int, one: Queue, other: Queue) -> None:
    messages: MessageList = one["messages"]
    some = messages[number % len(messages)] if messages else None
    if operation == "send" or some is None:
        messages.append({"id": str(number), "visible_at": 0, "receive_count": 0})
    elif operation == "receive":
        some["visible_at"] = number
        some["receive_count"] += 1
    elif operation == "delete":
        one["messages"] = [message for message in messages if message is not some]
    elif operation == "keep":
        one["messages"] = [message for message in messages if message["receive_count"] == 0]
    elif operation == "move":
        messages.remove(some)
        other["messages"].append({**some, "receive_count": 0})
    elif operation == "pop":
        messages.pop(number % len(messages))
    elif operation == "insert":
        messages.insert(len(messages), {"id": "i", "receive_count": 0})
    elif operation == "assign":
        one["messages"] = [*messages, {"id": "new", "receive_count": 0}]
    else:
        messages.clear()


def restored(path: Path, uid: str) -> list[dict[str, Any]]:
    import json

    journal = Journal(path)
    found = MessageList(journal, uid)
    for key, text in journal.load("message"):
        if key.startswith(f"{uid}/"):
            found.restore(int(key.partition("/")[2], 16), json.loads(text))
    journal.close()
    return [dict(message) for message in found]


@given(done=operations)
def test_any_sequence_of_changes_comes_back_the_same(
    done: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    journal = Journal(path)
    one, other = queue(journal, "one"), queue(journal, "other")
    for number, (operation, choice) in enumerate(done):
        apply(operation, choice, one, other)
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
