"""Durations and moments as people write them: `90s`, `1h30m`, `2d`; `2026-11-21`, `2026-11-21T07:00`, `3h` ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from imgpipe.errors import UsageError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


def duration(text: str) -> float:
    """Return the seconds that `text` names; a bare number is seconds. Raises UsageError."""
    wanted = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", wanted):
        return float(wanted)
    if not re.fullmatch(f"(?:{_PART.pattern})+", wanted):
        raise UsageError(f"duration {text!r}", "write it as 90s, 10m, 1h30m or 2d")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(wanted))


def moment(text: str, now: datetime) -> datetime:
    """Return the moment that `text` names: an ISO date or time (local unless it says otherwise), or so long ago."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except ValueError:
        pass
    try:
        return now - timedelta(seconds=duration(text))
    except (UsageError, OverflowError) as error:
        raise UsageError(
            f"time {text!r}",
            "write a date (2026-11-21), a time (2026-11-21T07:00) or an age (10m, 3h, 2d)",
        ) from error


def in_order(since: datetime | None, until: datetime | None) -> None:
    """Raises UsageError where a stretch of time ends before it begins."""
    if since and until and since > until:
        began, ended = (f"{when.astimezone():%Y-%m-%d %H:%M}" for when in (since, until))
        raise UsageError(f"from {began} to {ended}", "the end comes before the beginning")


def iso(when: datetime) -> str:
    """Return UTC to the millisecond with a Z: `2026-11-21T07:00:00.000Z`. Such texts sort by time."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: object) -> datetime | None:
    """Return the moment of an ISO text, in UTC; None when it isn't one. A text without a zone is UTC."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def from_ms(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def to_ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
