"""Which steps an upload goes through before it is done. Only the writer knows: adding a step changes nobody else.

The list changes when somebody edits the pipeline, while uploads of before are still on their way, perhaps for days:
what was published before a step listened will never reach that step. So the writer keeps the lists that it was
deployed with in one item of its table, each with the time from which it held, and asks the list of an upload's own
time. It is deployed after everything listens (`waits_for` in the graph), so the time is never too early. A step that
is gone, or works on other keys by now, is expected of nobody: its messages went with its queue.

One small read in a writer's life; a write when a new list is seen for the first time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imgpipe.runtime import items, log
from imgpipe.runtime.matching import matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgpipe.runtime.settings import Settings
    from imgpipe.runtime.store import Store

PK, SK = "#steps", "history"
REMEMBERED = 50
ATTEMPTS = 5

Lists = list[dict[str, Any]]
"""Each with `since`, `steps` and the `matches` of those that work on some uploads; the oldest first."""


def lists(store: Store, settings: Settings) -> Lists:
    """Return the lists that the writer was deployed with, the present one last; remember it if it is new."""
    known: Lists = []
    for _ in range(ATTEMPTS):
        item = store.get_item(settings.table, PK, SK)
        stored = items.decode(item) if item else {}
        known, rev = stored.get("lists", []), stored.get("rev")
        present = {"steps": list(settings.expected), "matches": settings.matches}
        if known and {name: known[-1].get(name) for name in present} == present:
            return known
        known = [*known, {"since": log.now(), **present}][-REMEMBERED:]
        fields = {"pk": PK, "sk": SK, "rev": 0 if rev is None else int(rev) + 1, "lists": known}
        if store.put_item(settings.table, items.encode(fields), rev=rev):
            return known
    return known


def steps(known: Sequence[Mapping[str, Any]], key: str, uploaded_at: str) -> list[str]:
    """Return the steps that the upload of `key` at a time goes through, of those that are still there."""
    present, then = known[-1], _at(known, uploaded_at)
    return [
        step
        for step in then["steps"]
        if step in present["steps"]
        and all(matches(each["matches"].get(step, {}), key) for each in (present, then))
    ]


def _at(known: Sequence[Mapping[str, Any]], uploaded_at: str) -> Mapping[str, Any]:
    """Return the list that held at a time: before the first one, that one."""
    when = _time(uploaded_at)
    if when is None:
        return known[-1]
    held = [each for each in known if (_time(each["since"]) or when) <= when]
    return held[-1] if held else known[0]


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
