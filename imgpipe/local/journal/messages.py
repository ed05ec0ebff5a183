"""SQS messages: lists and dicts that note their own changes, in place of ministack's plain ones.

Whoever changes a queue goes on as before: `queue["messages"].append(m)`, `m["visible_at"] = …`,
`queue["messages"] = [m for m in queue["messages"] if …]`. The last one is where stock ministack loses messages: what
another thread appended between the comprehension and the assignment is dropped. Here an assignment takes out only what
was there when the thread last began to read the list.

A message's entry is its queue's id and a row number that only grows, so the order of a queue is the order of its
entries; a queue that is deleted and made anew has another id, and never sees the old one's messages.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, SupportsIndex

from ministack.core.concurrency import esm_wake
from ministack.services import lambda_svc, sqs

from imgpipe.local.journal.store import Journal

KIND = "message"
_UID = "_uid"
_FIFO_STATE = frozenset({"fifo_seq", "dedup_cache"})
"""What sending to a FIFO queue changes besides its messages; it is kept with the settings."""
_on_fifo: list[Callable[[], None]] = []


def _fifo_changed() -> None:
    for call in _on_fifo:
        call()


class Message(dict[str, Any]):
    """A message in a queue. Filling in a missing field (`setdefault`) is no change: loading does it again."""

    __slots__ = ("home", "row")

    def __init__(self, fields: dict[str, Any], home: MessageList, row: int) -> None:
        super().__init__(fields)
        self.home: MessageList | None = home
        self.row = row

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if self.home is not None:
            self.home.changed(self)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        if self.home is not None:
            self.home.changed(self)

    def update(self, *args: Any, **fields: Any) -> None:
        super().update(*args, **fields)
        if self.home is not None:
            self.home.changed(self)

    def pop(self, name: str, *default: Any) -> Any:
        value = super().pop(name, *default)
        if self.home is not None:
            self.home.changed(self)
        return value


class MessageList(list[Message]):
    """The messages of a queue, oldest first."""

    __slots__ = ("_journal", "_rows", "_seen", "_uid")

    def __init__(self, book: Journal, uid: str) -> None:
        super().__init__()
        self._journal, self._uid = book, uid
        self._rows = 0
        self._seen = threading.local()

    # What leaves a trace in the journal.

    def _key(self, row: int) -> str:
        return f"{self._uid}/{row:012x}"

    def changed(self, message: Message) -> None:
        self._journal.mark(KIND, self._key(message.row), lambda: json.dumps(message))

    def _adopt(self, fields: dict[str, Any]) -> Message:
        message = Message(fields, self, self._rows)
        self._rows += 1
        self.changed(message)
        return message

    def _release(self, message: Message) -> None:
        message.home = None
        self._journal.mark(KIND, self._key(message.row), lambda: None)

    def restore(self, row: int, fields: dict[str, Any]) -> Message:
        """Take back a message from the journal. Call it in the order of rows."""
        message = Message(fields, self, row)
        super().append(message)
        self._rows = row + 1
        return message

    # What callers do with a list.

    def __iter__(self) -> Iterator[Message]:
        self._seen.rows = self._rows
        return super().__iter__()

    def append(self, fields: dict[str, Any]) -> None:
        with self._journal.atomic():
            super().append(self._adopt(fields))

    def extend(self, several: Iterable[dict[str, Any]]) -> None:
        with self._journal.atomic():
            super().extend([self._adopt(fields) for fields in several])

    def insert(self, index: SupportsIndex, fields: dict[str, Any]) -> None:
        with self._journal.atomic():
            super().insert(index, self._adopt(fields))

    def remove(self, message: dict[str, Any]) -> None:
        with self._journal.atomic():
            for index, found in enumerate(list.__iter__(self)):
                if found is message:
                    super().pop(index)
                    self._release(found)
                    return
        raise ValueError("the message is not in this queue")

    def pop(self, index: SupportsIndex = -1) -> Message:
        with self._journal.atomic():
            message = super().pop(index)
            self._release(message)
        return message

    def clear(self) -> None:
        with self._journal.atomic():
            for message in list.__iter__(self):
                self._release(message)
            super().clear()

    def keep(self, kept: Iterable[dict[str, Any]]) -> None:
        """Become `kept`, except that what arrived since this thread began to read stays."""
        wanted = list(kept)
        with self._journal.atomic():
            seen = getattr(self._seen, "rows", self._rows)
            self._seen.__dict__.pop("rows", None)
            alive = {id(message) for message in wanted}
            mine: list[Message] = []
            for message in list.__iter__(self):
                if id(message) in alive or message.row >= seen:
                    mine.append(message)
                else:
                    self._release(message)
            known = {id(message) for message in mine}
            mine += [self._adopt(fields) for fields in wanted if id(fields) not in known]
            super().__setitem__(slice(None), mine)

    def __setitem__(self, index: Any, value: Any) -> None:
        changed = list(list.__iter__(self))
        changed[index] = value
        self._seen.rows = self._rows
        self.keep(changed)

    def __delitem__(self, index: Any) -> None:
        left = list(list.__iter__(self))
        del left[index]
        self._seen.rows = self._rows
        self.keep(left)

    def __iadd__(self, several: Iterable[dict[str, Any]]) -> Self:  # type: ignore[misc, override]
        self.extend(several)
        return self

    def __reduce_ex__(self, _protocol: SupportsIndex) -> Any:
        return list, ([dict(message) for message in list.__iter__(self)],)


class Queue(dict[str, Any]):
    """A queue's record, whose `messages` is always a MessageList."""

    __slots__ = ()

    def __init__(self, record: dict[str, Any], book: Journal) -> None:
        super().__init__(record)
        uid = self.setdefault(_UID, uuid.uuid4().hex)
        before = self.get("messages") or []
        super().__setitem__("messages", MessageList(book, uid))
        self["messages"].extend(before)

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "messages":
            if value is not self["messages"]:
                self["messages"].keep(value)
        else:
            super().__setitem__(name, value)
            if name in _FIFO_STATE:
                _fifo_changed()

    def settings(self) -> dict[str, Any]:
        return {name: value for name, value in self.items() if name != "messages"}


class QueueStore(dict[Any, Queue]):
    """What ministack's dict of queues keeps its records in."""

    def __init__(self, book: Journal, queues: dict[Any, Any]) -> None:
        super().__init__()
        self._journal = book
        self.update(queues)

    def __setitem__(self, key: Any, record: Any) -> None:
        old = self.get(key)
        if old is record:
            return
        if old is not None:
            old["messages"].clear()
        super().__setitem__(
            key, record if isinstance(record, Queue) else Queue(record, self._journal)
        )

    def update(self, *args: Any, **_named: Any) -> None:
        for key, record in dict(*args).items():
            self[key] = record

    def setdefault(self, key: Any, default: Any = None) -> Queue:
        if key not in self:
            self[key] = default
        return self[key]

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def pop(self, key: Any, *default: Any) -> Any:
        queue = super().pop(key, *default)
        if isinstance(queue, Queue):
            queue["messages"].clear()
        return queue

    def clear(self) -> None:
        for key in list(self):
            self.pop(key)


def describe() -> dict[str, Any]:
    """Return SQS's settings: the queues without their messages."""
    queues = type(sqs._queues)()
    queues._data = {key: queue.settings() for key, queue in sqs._queues._data.items()}
    return {"queues": queues}


def _readdress() -> None:
    """Give the queues the URLs of the port that is served now: ministack finds them by URL."""
    store = sqs._queues._data
    for (account, region, url), queue in list(store.items()):
        current = sqs._queue_url_for_account(account, queue["name"])
        if current != url:
            dict.pop(store, (account, region, url))
            dict.__setitem__(store, (account, region, current), queue)
            queue["url"] = current
    sqs._queue_name_to_url.clear()
    sqs._rebuild_queue_name_index()


def _polled_queues() -> set[str]:
    return {str(mapping.get("EventSourceArn")) for mapping in lambda_svc._esms.all_values()}


def restore(book: Journal, now: Callable[[], float] = time.time) -> None:
    """Put the messages back into their queues. Entries of queues that are no more are dropped.

    A message in flight comes back when its visibility ends; but one that our own poller held comes back at once, and
    that receive doesn't count: the poller died with the server, and nobody else can be at work on it.
    """
    _readdress()
    queues = {queue[_UID]: queue for queue in sqs._queues._data.values()}
    polled, moment = _polled_queues(), now()
    for uid, entries in itertools.groupby(
        book.load(KIND), lambda entry: entry[0].partition("/")[0]
    ):
        queue = queues.get(uid)
        for key, text in entries:
            if queue is None:
                book.mark(KIND, key, lambda: None)
                continue
            message = queue["messages"].restore(int(key.partition("/")[2], 16), json.loads(text))
            if queue["attributes"].get("QueueArn") in polled and message["receive_count"]:
                _unreceive(message, moment)
    esm_wake.set()


def _unreceive(message: Message, now: float) -> None:
    if message["visible_at"] > now:
        message["receive_count"] -= 1
        message["visible_at"] = now


def install(book: Journal, save_settings: Callable[[], None]) -> None:
    _on_fifo.append(save_settings)
    sqs._queues._data = QueueStore(book, sqs._queues._data)
