"""How an image's way looks: a line a hop with its time, what was logged below it, and the end in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imgpipe.cli import render
from imgpipe.cli.hints import here
from imgpipe.cli.views import logs, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from imgpipe.operate.log_search import Line
    from imgpipe.operate.why.hop import Hop
    from imgpipe.operate.why.verdict import Story

MARKS = {
    "ok": "[green]✓[/]",
    "broken": "[bold red]✗[/]",
    "waiting": "[yellow]…[/]",
    "none": "[dim]·[/]",
}
ENDS = {
    "done": "[green]done[/]",
    "removed": "[green]removed[/]",
    "erased": "[green]erased[/]",
    "superseded": "[green]superseded[/] by a newer version",
    "rejected": "[yellow]rejected[/]",
    "failed": "[red]failed[/]",
    "in_flight": "[cyan]in flight[/]",
    "lost": "[red]lost on its way[/]",
    "never": "[red]never arrived[/]",
}
WITHOUT_NAME = frozenset({"object", "event", "row", "outputs"})
"""Stages of which there is one."""
SHOWN_LINES = 12
"""Of an attempt's log: the rest is a command away."""
_RUNTIME = re.compile(r"^(START|END|REPORT|INIT_START) ")


def page(story: Story) -> Iterator[RenderableType]:
    """Yield the parts of a story."""
    from rich.table import Table

    yield f"[bold]{render.safe(story.key)}[/]  {ENDS[story.end]}"
    yield ""
    made = Table.grid(padding=(0, 1))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    stage = ""
    for hop in story.hops:
        made.add_row(*_row(hop, same=_label(hop) == stage))
        stage = _label(hop)
    yield made
    yield from _end(story)


def _row(hop: Hop, *, same: bool) -> tuple[RenderableType, ...]:
    from rich.console import Group

    at = hop.at.astimezone().strftime("%H:%M:%S.%f")[:-3] if hop.at else ""
    style = {"broken": "red", "none": "dim"}.get(hop.state, "")
    text = f"[{style}]{render.safe(hop.text)}[/]" if style else render.safe(hop.text)
    lines = [_logged(line) for line in hop.lines if not _RUNTIME.match(line.text)]
    shown = lines[-SHOWN_LINES:]
    return at, MARKS[hop.state], "" if same else render.safe(_label(hop)), Group(text, *shown)


def _label(hop: Hop) -> str:
    if hop.stage in WITHOUT_NAME:
        return hop.stage
    return f"notice {hop.name}" if hop.stage == "notice" else hop.name


def _logged(line: Line) -> str:
    """Return a log line without what the hop says already."""
    text = logs.body(line, hidden=frozenset({"key", "message_id", "version_id"}))
    return f"[dim]│[/] {text}"


def _end(story: Story) -> Iterator[RenderableType]:
    yield ""
    if story.broken:
        hop = story.broken
        where = hop.stage if hop.stage in WITHOUT_NAME else f"{hop.stage}, {hop.name}"
        word = "waits at" if story.broken.state == "waiting" else "broken at"
        yield f"[bold]{word}:[/] {render.safe(where)}"
        yield f"[bold]reason:[/]    {render.safe(story.reason)}"
    for what, why in story.unreadable.items():
        yield f"[yellow]not asked:[/] {render.safe(what)}: {render.safe(why)}"
    for number, command in enumerate(story.next):
        label = "next:" if not number else "then:"
        yield f"[cyan]{label}[/]      {render.safe(here(words.command(*command)))}"
