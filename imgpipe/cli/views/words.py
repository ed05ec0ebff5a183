"""Words and colours that several commands share: statuses, ages, commands to run next."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

from imgpipe.cli import render

STATUS_STYLES = {
    "done": "green",
    "rejected": "yellow",
    "failed": "red",
    "in_flight": "cyan",
    "pending": "cyan",
    "removed": "dim",
    "uploaded": "green",
}


def status(word: str) -> str:
    """Return a status in its colour, as rich markup."""
    style = STATUS_STYLES.get(word, "default")
    return f"[{style}]{render.safe(word.replace('_', ' '))}[/]"


def command(*words: str) -> str:
    """Return a command that can be pasted into a shell, whatever is in its words."""
    return " ".join(shlex.quote(word) for word in words)


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 image`, `1,200 images`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def ago(when: datetime, now: datetime | None = None) -> str:
    """Return how long ago `when` was; how soon it will be, if it hasn't been yet."""
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    return f"{render.age(seconds)} ago" if seconds >= 0 else f"in {render.age(-seconds)}"


def short_time(when: datetime) -> str:
    """Return local time: the hour of today, the date as well of other days."""
    local = when.astimezone()
    today = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")
