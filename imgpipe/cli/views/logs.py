"""How log lines look: time, function, and a JSON line as its event with its fields; the runtime's own dimmed.

On a narrow terminal a line is brief: without the ids, which `--json`, a pipe and a wider terminal show, and with the
runtime's report in short.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.operate.dlq.letters import parse
from imgpipe.operate.times import iso
from imgpipe.runtime.log import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from imgpipe.operate.log_search import Line

_RUNTIME = re.compile(r"^(START|END|REPORT|INIT_START|EXTENSION|XRAY)\b")
_CALL = re.compile(r"^(START|END|REPORT) RequestId: (\w{8})[\w-]*")
_REPORT = re.compile(
    r"\s+Duration: ([\d.]+) ms\s+Billed Duration: \d+ ms\s+Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB"
    r"(?:\s+Init Duration: ([\d.]+) ms)?"
)
WIDE = 120
"""From this width on a terminal shows a line whole."""
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
_HIDDEN_FIELDS = frozenset({"event", "request_id", "_aws", "FunctionName"})
"""The event is shown first. The request stands in the START line above; `--json` has it in every line."""


class Colours:
    """A colour for each function, the same as long as the command runs."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, function: str) -> str:
        return self._known.setdefault(function, _COLOURS[len(self._known) % len(_COLOURS)])


def line(entry: Line, colours: Colours, width: int) -> str:
    """Return a line for a pipe, as rich markup; the names of functions take `width`."""
    return f"[dim]{_at(entry.at)}[/] {_name(entry, colours, width)} {_text(entry.text)}"


def block(entry: Line, colours: Colours, width: int, terminal: int) -> Table:
    """Return a line for a terminal of that width: what doesn't fit goes on below its beginning."""
    from rich.table import Table

    made = Table.grid(padding=(0, 1))
    made.add_column(no_wrap=True, style="dim")
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    text = _text(entry.text, brief=terminal < WIDE)
    made.add_row(_at(entry.at), _name(entry, colours, width), text)
    return made


def _at(when: datetime, now: datetime | None = None) -> str:
    """Return local time to the millisecond, with the date unless it is today's."""
    local, today = when.astimezone(), (now or datetime.now(UTC)).astimezone().date()
    day = "" if local.date() == today else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M:%S}.{local.microsecond // 1000:03}"


def _name(entry: Line, colours: Colours, width: int) -> str:
    return f"[{colours.of(entry.function)}]{render.safe(entry.function):<{width}}[/]"


def body(entry: Line, hidden: frozenset[str]) -> str:
    """Return what a line says, without the fields in `hidden`, as rich markup."""
    told = {name: value for name, value in entry.told.items() if name not in hidden}
    return _fields(told, brief=True) if told else _text(entry.text, brief=True)


def line_json(entry: Line) -> str:
    """Return a line as one line of JSON, the fields of a JSON message opened."""
    told = parse(entry.text) or {"message": entry.text}
    document = {"at": iso(entry.at), "function": entry.function, **told}
    return dumps(document)


def _text(text: str, *, brief: bool = False) -> str:
    told = parse(text)
    if told:
        return _fields(told, brief=brief)
    plain = (
        (_in_short(text) if brief else text).replace("\t", "  ").replace("\N{NO-BREAK SPACE}", " ")
    )
    shown = "\n    ".join(render.safe(part) for part in re.split(r"\r\n|\r|\n", plain))
    if _RUNTIME.match(text):
        return f"[dim]{shown}[/]"
    return f"[red]{shown}[/]" if _BAD.search(text) else shown


def _in_short(text: str) -> str:
    """Return what the runtime says of a call without what is the same each time; any other text as it is."""
    call = _CALL.match(text)
    if call is None:
        return text
    rest = text[call.end() :]
    if found := _REPORT.match(rest):
        ms, size, used, began = found.groups()
        init = f", {float(began):.0f} ms to begin" if began else ""
        rest = f"  {float(ms):.0f} ms{init}, {used} of {size} MB{rest[found.end() :].rstrip()}"
    return f"{call[1]} {call[2]}{rest.replace('Version: $LATEST', '').rstrip()}"


def _fields(told: Mapping[str, Any], *, brief: bool) -> str:
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
        f"[dim]{render.safe(name)}=[/]{_value(value)}"
        for name, value in fields.items()
        if name not in _QUIET_FIELDS
    ]
    parts += [
        f"[dim]{render.safe(name)}={_value(value)}[/]"
        for name, value in fields.items()
        if name in _QUIET_FIELDS and not brief
    ]
    return " ".join(parts)


def _value(value: Any) -> str:
    return render.safe(value if isinstance(value, str) else dumps(value))
