"""How log lines look: time, function, and a JSON line as its event with its fields; the runtime's own dimmed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.operate.dlq.letters import parse
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.operate.log_search import Line

_RUNTIME = re.compile(r"^(START|END|REPORT|INIT_START|EXTENSION|XRAY)\b")
_BAD = re.compile(r"\[ERROR\]|Task timed out|Runtime exited|Traceback|\bCRITICAL\b")
_COLOURS = ("cyan", "magenta", "green", "blue", "yellow", "bright_cyan", "bright_magenta")
_EVENT_STYLES = {
    "failed": "red",
    "rejected": "yellow",
    "retrying": "yellow",
    "done": "green",
    "skipped": "dim",
}
_QUIET_FIELDS = frozenset({"message_id", "version_id"})
_HIDDEN_FIELDS = frozenset({"event", "request_id"})
"""The event is shown first. The request stands in the START line above; `--json` has it in every line."""


class Colours:
    """A colour for each function, the same as long as the command runs."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, function: str) -> str:
        return self._known.setdefault(function, _COLOURS[len(self._known) % len(_COLOURS)])


def line(entry: Line, colours: Colours, width: int) -> str:
    """Return a line as rich markup."""
    at = entry.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    name = f"[{colours.of(entry.function)}]{render.safe(entry.function):<{width}}[/]"
    return f"[dim]{at}[/] {name} {_text(entry.text)}"


def line_json(entry: Line) -> str:
    """Return a line as one line of JSON, the fields of a JSON message opened."""
    told = parse(entry.text) or {"message": entry.text}
    document = {"at": iso(entry.at), "function": entry.function, **told}
    return json.dumps(document, ensure_ascii=False, default=str)


def _text(text: str) -> str:
    told = parse(text)
    if told:
        return _fields(told)
    plain = text.replace("\t", "  ").replace("\N{NO-BREAK SPACE}", " ")
    shown = "\n    ".join(render.safe(part) for part in re.split(r"\r\n|\r|\n", plain))
    if _RUNTIME.match(text):
        return f"[dim]{shown}[/]"
    return f"[red]{shown}[/]" if _BAD.search(text) else shown


def _fields(told: Mapping[str, Any]) -> str:
    """Return the event first, then what it is about, ids last and dimmed."""
    event = str(told.get("event") or told.get("level") or "")
    style = _EVENT_STYLES.get(event, "bold")
    parts = [f"[{style}]{render.safe(event):<9}[/]"] if event else []
    fields = {
        name: value
        for name, value in told.items()
        if name not in _HIDDEN_FIELDS and value is not None
    }
    parts += [
        f"[dim]{name}=[/]{_value(value)}"
        for name, value in fields.items()
        if name not in _QUIET_FIELDS
    ]
    parts += [
        f"[dim]{name}={_value(value)}[/]" for name, value in fields.items() if name in _QUIET_FIELDS
    ]
    return " ".join(parts)


def _value(value: Any) -> str:
    return render.safe(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    )
