"""How things look on a terminal: consoles, tables, sizes, ages. Text from outside is escaped before it is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from imgpipe import errors
from imgpipe.runtime.log import dumps

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@cache
def out() -> Console:
    """Return the console for data (stdout)."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def err() -> Console:
    """Return the console for progress, questions and warnings (stderr)."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def next_step(markup: str) -> None:
    """Say which command to run next, on stderr, for the environment that was asked about."""
    err().print(step(markup), soft_wrap=True)


def step(markup: str) -> str:
    """Return the line that says which command to run next, for the environment that was asked about."""
    from imgpipe.cli.hints import here

    return f"[cyan]next:[/] {here(markup)}"


def print_json(value: Any) -> None:
    """Write `value` as JSON on stdout, as `as_json` has it."""
    sys.stdout.write(as_json(value) + "\n")


def as_json(value: Any, indent: int | None = 2) -> str:
    """Return JSON: Unicode kept where it can be printed, dates as text, commands for the environment asked about."""
    from imgpipe.cli.hints import told

    return dumps(told(value), indent=indent)


def safe(text: object) -> str:
    """Return `text` without control characters and with rich's markup escaped: keys and EXIF are data."""
    from rich.markup import escape

    return escape(printable(str(text)))


def printable(text: str) -> str:
    """Return `text` with what controls a terminal spelled out."""
    return errors.printable(text.replace("\t", " "))


def table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """Return an empty table with plain edges; the columns named in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, show_edge=False
    )
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def rows(made: Table, lines: Iterable[Sequence[object]]) -> Table:
    """Fill `made` with `lines`, each cell escaped."""
    for line in lines:
        made.add_row(*(safe(cell) for cell in line))
    return made


def size(count: float) -> str:
    """Return bytes in decimal units, three digits: `1.92 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def age(seconds: float) -> str:
    """Return a duration in its one or two largest units: `3m 20s`."""
    whole = int(seconds)
    for name, length, smaller, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= length:
            rest = whole % length // part
            return (
                f"{whole // length}{name} {rest}{smaller}" if rest else f"{whole // length}{name}"
            )
    return f"{whole}s"
