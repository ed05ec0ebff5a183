"""CloudWatch Logs: the groups are settings; events are entries of a few at a time, as they came.

An entry names the moment its group was made, so that a group which is deleted and made anew doesn't inherit the old
one's events. Of each group the youngest events are kept, so that neither memory nor disk grow with every image.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter, deque
from typing import Any

from ministack.services import cloudwatch_logs

from imgpipe.local.journal.settings import Settings
from imgpipe.local.journal.store import Journal

KIND = "log"
KEEP = 20_000
"""How many events of a group are kept, the youngest; AWS keeps all for as long as the group says."""
DAY_S = 24 * 3600

_stock_append = cloudwatch_logs._append_log_events

_NEW_STREAM = {
    "uploadSequenceToken": "1",
    "firstEventTimestamp": None,
    "lastEventTimestamp": None,
    "lastIngestionTime": None,
}


def describe() -> dict[str, Any]:
    """Return the settings of CloudWatch Logs: the groups, their streams without events, filters and policies."""
    groups = type(cloudwatch_logs._log_groups)()
    groups._data = {
        key: {
            **group,
            "streams": {name: {**s, "events": []} for name, s in list(group["streams"].items())},
        }
        for key, group in cloudwatch_logs._log_groups._data.items()
    }
    stores = ("destinations", "resource_policies", "log_group_policies", "metric_filters")
    return {"log_groups": groups, **{name: getattr(cloudwatch_logs, f"_{name}") for name in stores}}


def _is_expired(group: Any, events: list[Any]) -> bool:
    """Return whether all the events are older than the group keeps any."""
    days = group.get("retentionInDays")
    return bool(days) and max(e["timestamp"] for e in events) < (time.time() - days * DAY_S) * 1000


class Logs:
    """Notes the events that are appended to streams."""

    def __init__(self, book: Journal, settings: Settings) -> None:
        self._journal, self._settings = book, settings
        self._homes: dict[int, tuple[Any, list[Any]]] = {}
        self._saved: set[tuple[Any, ...]] = set()
        self._number = itertools.count()
        self._kept: dict[tuple[Any, ...], deque[tuple[str, int, Any]]] = {}
        self._counts: Counter[tuple[Any, ...]] = Counter()
        self._lock = threading.Lock()

    def appended(self, stream: Any, events: list[Any]) -> None:
        home = self._home(stream)
        if home is None or not events:
            return
        text = json.dumps([*home, stream["creationTime"], events])
        with self._lock:
            key = f"{next(self._number):016x}"
            self._journal.mark(KIND, key, lambda: text)
            self._keep(tuple(home[:4]), key, len(events), stream)

    def _keep(self, group: tuple[Any, ...], key: str, count: int, stream: Any) -> None:
        """Remember an entry, and forget the oldest of its group while there are too many events."""
        entries = self._kept.setdefault(group, deque())
        entries.append((key, count, stream))
        self._counts[group] += count
        while self._counts[group] > KEEP and len(entries) > 1:
            old, gone, of = entries.popleft()
            self._counts[group] -= gone
            with cloudwatch_logs._log_events_lock:
                del of["events"][:gone]
            self._journal.mark(KIND, old, lambda: None)

    def _home(self, stream: Any) -> list[Any] | None:
        known = self._homes.get(id(stream))
        if known is not None and known[0] is stream:
            return known[1]
        for (account, region, group_name), group in list(cloudwatch_logs._log_groups._data.items()):
            for name, found in list(group["streams"].items()):
                if found is stream:
                    home = [account, region, group_name, group["creationTime"], name]
                    self._homes[id(stream)] = (stream, home)
                    self._remember_group(home[:4])
                    return home
        return None

    def _remember_group(self, group: list[Any]) -> None:
        """Lambda makes log groups without a request: save the settings when one is first seen."""
        if tuple(group) not in self._saved:
            self._saved.add(tuple(group))
            self._settings.save("cloudwatch_logs")

    def restore(self) -> None:
        """Put the events back into their streams. Entries of groups that are no more, or that are too old,
        are dropped.
        """
        for key, text in self._journal.load(KIND):
            account, region, group_name, group_made, name, made, events = json.loads(text)
            group = cloudwatch_logs._log_groups._data.get((account, region, group_name))
            self._number = itertools.count(int(key, 16) + 1)
            if group is None or group["creationTime"] != group_made or _is_expired(group, events):
                self._journal.mark(KIND, key, lambda: None)
                continue
            stream = group["streams"].setdefault(
                name, {"events": [], "creationTime": made, **_NEW_STREAM}
            )
            self._saved.add((account, region, group_name, group_made))
            _stock_append(stream, events)
            self._keep((account, region, group_name, group_made), key, len(events), stream)

    def install(self) -> None:
        def append(stream: Any, events: list[Any]) -> None:
            _stock_append(stream, events)
            self.appended(stream, events)

        cloudwatch_logs._append_log_events = append
