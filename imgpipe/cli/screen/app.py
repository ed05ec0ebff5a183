"""The screen: the steps and their queues above, a line an image below, and keys that open what a line is about.

One thread asks, tick by tick; a moment without an answer is shown, and not the end. Nothing here changes anything.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import DataTable, Footer, Static
from textual.worker import get_current_worker

from imgpipe import errors
from imgpipe.cli import render
from imgpipe.cli.hints import here
from imgpipe.cli.screen import lines
from imgpipe.cli.screen.drill import ImageScreen, LettersScreen, StepScreen
from imgpipe.cli.screen.table import Table
from imgpipe.cli.views import words
from imgpipe.operate import images

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.worker import Worker

    from imgpipe.cli.screen.source import Source
    from imgpipe.operate.rows import Row
    from imgpipe.operate.ticks import Tick

KEPT_IMAGES = 200
KEPT_SAMPLES = 600
BUSIEST = 2.0
"""A slow answer is a sign of load: there is at least so many times as long between two questions."""
LOOK_UP_S = 0.1
AT_FIRST = frozenset({"letters", "failures", "pause"})
FAILURES = frozenset({"failed", "rejected"})


class Watch(App[None]):
    """Asks `source` every `interval_s`, `count` times or until a key ends it."""

    TITLE = "imgpipe watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Table, VerticalScroll {
        scrollbar-size: 1 1; scrollbar-background: $background; scrollbar-color: $panel;
    }
    #head { height: auto; padding: 0 1; margin: 0 0 1 0; }
    #trouble { height: auto; padding: 0 1; color: $text-error; display: none; }
    #steps { max-height: 50%; margin: 0 0 1 0; }
    #images { height: 1fr; }
    """
    BINDINGS: ClassVar = [
        Binding("q", "quit", "quit"),
        Binding("d", "letters", "dead letters"),
        Binding("f", "failures", "failures only"),
        Binding("space", "pause", "pause"),
        Binding("r", "ask", "ask now", show=False),
        Binding("ctrl+c", "interrupt", show=False, priority=True),
    ]

    def __init__(self, source: Source, interval_s: float, count: int | None = None) -> None:
        super().__init__()
        self.source = source
        self.tick: Tick | None = None
        self.history: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=KEPT_SAMPLES))
        self.interval_s = interval_s
        self._count = count
        self._rows: dict[str, Row] = {}
        self._wake, self._paused, self._failures = threading.Event(), False, False

    def compose(self) -> ComposeResult:
        yield Static(lines.head(None, self.source.title, ""), id="head")
        yield Static(id="trouble")
        with Vertical():
            yield Table(id="steps")
            yield Table(id="images")
        yield Footer()

    def on_mount(self) -> None:
        self.theme = "tokyo-night"
        self.query_one("#images").focus()
        self.run_worker(self._ask, thread=True, group="ticks")

    def on_resize(self) -> None:
        self._draw()

    def _ask(self) -> None:
        """Ask again and again, in a thread of its own."""
        worker, taken = get_current_worker(), 0
        while not worker.is_cancelled:
            began = time.monotonic()
            if not self._paused:
                self._once()
                taken += 1
            if taken == self._count:
                self._tell(self._over, None)
                return
            self._wait(max(self.interval_s, BUSIEST * (time.monotonic() - began)), worker)

    def _wait(self, pause_s: float, worker: Worker[None]) -> None:
        """Wait until it is time or a key asks; at the screen's end nobody wakes this thread, so it looks up."""
        ends = time.monotonic() + pause_s
        while not worker.is_cancelled and (left := ends - time.monotonic()) > 0:
            if self._wake.wait(min(left, LOOK_UP_S)):
                self._wake.clear()
                return

    def _over(self, _: None) -> None:
        self.exit()

    def _once(self) -> None:
        try:
            tick = self.source.tick()
        except errors.ImgpipeError as error:
            self._tell(self._trouble, error)
        else:
            self._tell(self._fresh, tick)

    def _tell(self, what: Any, value: Any) -> None:
        if self.is_running and not get_current_worker().is_cancelled:
            self.call_from_thread(what, value)

    def _trouble(self, error: errors.ImgpipeError) -> None:
        shown = self.query_one("#trouble", Static)
        shown.update(f"{render.safe(error)}  {render.safe(here(error.hint))}".rstrip())
        shown.display = True

    def _fresh(self, tick: Tick) -> None:
        self.tick = tick
        self.query_one("#trouble").display = False
        for queue, depth in tick.sample.depths.items():
            self.history[queue].append(depth)
        for row in tick.images:
            self._rows.pop(row["key"], None)
            self._rows[row["key"]] = row
        while len(self._rows) > KEPT_IMAGES:
            del self._rows[next(iter(self._rows))]
        self._draw()
        if isinstance(self.screen, StepScreen):
            self.screen.fresh()

    def _draw(self) -> None:
        if not self.screen_stack:
            return
        base = self.screen_stack[0]
        base.query_one("#head", Static).update(
            lines.head(self.tick, self.source.title, self._state())
        )
        if self.tick:
            self._draw_steps(base.query_one("#steps", Table), self.tick)
            self._draw_images(base.query_one("#images", Table))

    def _state(self) -> str:
        now = f"{self.tick.sample.at.astimezone():%H:%M:%S}" if self.tick else ""
        told = [now, f"every {self.interval_s:g} s"]
        if self._paused:
            told[1] = "[yellow]paused[/]"
        if self._failures:
            told.append("[yellow]failures only[/]")
        return f"[dim]{' · '.join(text for text in told if text)}[/]"

    def _draw_steps(self, table: Table, tick: Tick) -> None:
        longest = max(len(render.printable(step.name)) for step in tick.steps)
        used = longest + sum(len(name) for name in lines.STEP_COLUMNS[1:])
        room = self.size.width - used - lines.GAP * (len(lines.STEP_COLUMNS) + 2)
        room = min(room, lines.MOST_DRAWN) if room >= lines.LEAST_DRAWN else 0
        columns = [(name, longest if name == "step" else len(name)) for name in lines.STEP_COLUMNS]
        table.fill(
            [*columns, *([("queue over time", room)] if room else [])],
            [
                (step.name, lines.step_cells(step, self.history[step.queue or ""], room))
                for step in tick.steps
            ],
        )

    def _draw_images(self, table: Table) -> None:
        rows = [row for row in reversed(self._rows.values()) if self._is_shown(row)]
        prefix = self.source.prefix
        names = [render.printable(images.short(prefix, row["key"])) for row in rows]
        widths = lines.image_widths(names, self.size.width)
        columns = [
            ("moved at", 8),
            ("status", 9),
            ("image", widths[0]),
            ("took", 8),
            ("", widths[1]),
        ]
        table.fill(
            columns,
            [
                (row["key"], lines.image_cells(row, name, widths))
                for row, name in zip(rows, names, strict=True)
            ],
        )

    def _is_shown(self, row: Row) -> bool:
        return not self._failures or row["status"] in FAILURES

    def on_data_table_row_selected(self, chosen: DataTable.RowSelected) -> None:
        key = str(chosen.row_key.value)
        if chosen.data_table.id == "images":
            self.push_screen(ImageScreen(self.source, key))
        elif chosen.data_table.id == "steps":
            self.push_screen(StepScreen(self, key))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Keys that are about the first screen are not offered on what they open."""
        return action not in AT_FIRST or len(self.screen_stack) <= 1

    def action_letters(self) -> None:
        self.push_screen(LettersScreen(self.source))

    def action_failures(self) -> None:
        self._failures = not self._failures
        self._draw()

    def action_pause(self) -> None:
        self._paused = not self._paused
        self._draw()
        if not self._paused:
            self._wake.set()

    def action_ask(self) -> None:
        self._wake.set()

    def action_interrupt(self) -> None:
        self.exit(return_code=errors.INTERRUPTED)


def left_behind(app: Watch) -> str:
    """Return what stays in the terminal after the screen: how it was, in a line."""
    if app.tick is None:
        return ""
    at = words.short_time(app.tick.sample.at)
    return lines.head(app.tick, app.source.title, f"[dim]until {at}[/]").markup
