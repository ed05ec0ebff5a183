"""What a key opens: the story of one image, one step and its queue, the dead letters. Escape goes back.

Each asks in a thread while it says so, and shows what went wrong in the answer's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Group as Parts
from rich.text import Text
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static

from imgpipe import errors
from imgpipe.cli import render
from imgpipe.cli.hints import here
from imgpipe.cli.screen import lines
from imgpipe.cli.screen.table import Table
from imgpipe.cli.views import why, words
from imgpipe.cli.views.watch import plot
from imgpipe.operate import images
from imgpipe.operate.dlq import advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.app import ComposeResult

    from imgpipe.cli.screen.app import Watch
    from imgpipe.cli.screen.source import Source
    from imgpipe.operate.dlq.groups import Group

CHART_HEIGHT = 10


class Drill(Screen[None]):
    """A page that is asked for when it opens, and again with `r`."""

    BINDINGS: ClassVar = [
        Binding("escape,backspace", "dismiss", "back"),
        Binding("r", "ask", "ask again"),
    ]
    DEFAULT_CSS = """
    Drill .title { height: auto; padding: 0 1; margin: 0 0 1 0; }
    Drill .hint { height: auto; padding: 0 1; }
    Drill VerticalScroll { padding: 0 1; }
    Drill VerticalScroll .hint { padding: 0; }
    Drill Static { width: 1fr; height: auto; }
    """

    def compose(self) -> ComposeResult:
        yield Static("", classes="title")
        yield from self.parts()
        yield Footer()

    def parts(self) -> Iterable[Any]:
        """Yield the page's own widgets."""
        raise NotImplementedError

    def ask(self) -> Callable[[], None]:
        """Ask, in a thread; return how the answer is shown."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.action_ask()

    def action_ask(self) -> None:
        self._say("[dim]asking[/]")
        self.run_worker(self._asked, thread=True, exclusive=True)

    def _asked(self) -> None:
        try:
            shown = self.ask()
        except errors.ImgpipeError as error:
            text = f"[red]{render.safe(error)}[/]  [cyan]{render.safe(here(error.hint))}[/]"
            shown = lambda: self._say(text)  # noqa: E731 - what is shown is a call, as the answer's is
        if self.is_current or self in self.app.screen_stack:
            self.app.call_from_thread(shown)

    def _say(self, markup: str) -> None:
        self.query_one(".title", Static).update(Text.from_markup(markup))


class ImageScreen(Drill):
    """`imgpipe why` of one image."""

    def __init__(self, source: Source, key: str) -> None:
        super().__init__()
        self._source, self._key = source, key

    def parts(self) -> Iterable[Any]:
        with VerticalScroll():
            yield Static(id="story")

    def ask(self) -> Callable[[], None]:
        story = self._source.story(self._key)
        title, *rest = why.page(story)

        def show() -> None:
            self._say(str(title))
            self.query_one("#story", Static).update(Parts(*rest[1:]))
            self.query_one(VerticalScroll).focus()

        return show


class LettersScreen(Drill):
    """`imgpipe dlq groups`: the kinds of failure. Enter opens one of them."""

    def __init__(self, source: Source, step: str | None = None) -> None:
        super().__init__()
        self._source, self._step = source, step
        self._groups: dict[str, Group] = {}

    def parts(self) -> Iterable[Any]:
        yield Table(id="groups")
        yield Static(classes="hint")

    def ask(self) -> Callable[[], None]:
        found = self._source.groups(self._step)
        return lambda: self._show(found)

    def _show(self, found: list[Group]) -> None:
        self._groups = {group.id: group for group in found}
        total = sum(len(group.letters) for group in found)
        of = f" of {render.safe(self._step)}" if self._step else ""
        kinds = f", of {words.plural(len(found), 'kind')}" if found else ""
        self._say(f"[bold]{words.plural(total, 'dead letter')}[/]{of}{kinds}")
        columns = lines.group_columns(found, self.app.size.width)
        table = self.query_one("#groups", Table)
        table.fill(
            [*columns.items()] if found else [],
            [(group.id, lines.group_cells(group, columns)) for group in found],
        )
        hints = advice.words([it for each in found for it in each.letters])
        shown = render.step("\n      ".join(map(render.safe, hints))) if hints else ""
        self.query_one(".hint", Static).update(Text.from_markup(f"\n{shown}"))
        table.focus()

    def on_data_table_row_selected(self, chosen: DataTable.RowSelected) -> None:
        chosen.stop()
        group = self._groups[str(chosen.row_key.value)]
        self.app.push_screen(GroupScreen(self._source, group))


class GroupScreen(Drill):
    """The letters of one kind. Enter opens the image that a letter is about."""

    def __init__(self, source: Source, group: Group) -> None:
        super().__init__()
        self._source, self._group = source, group

    def parts(self) -> Iterable[Any]:
        with VerticalScroll():
            yield Static(classes="hint")
            yield Table(id="letters")

    def ask(self) -> Callable[[], None]:
        return self._show

    def _show(self) -> None:
        group, prefix = self._group, self._source.prefix
        first = group.letters[0]
        count = words.plural(len(group.letters), "letter")
        self._say(f"[bold]{group.id}[/]  {count} of {render.safe(group.step)}")
        told = [
            render.safe(lines.why(first)),
            *(render.step(line) for line in advice.words(group.letters, group.id)),
            "",
        ]
        self.query_one(".hint", Static).update(Text.from_markup("\n".join(told)))
        since = max(len(words.short_time(it.first_seen)) for it in group.letters)
        room = max(self.app.size.width - since - 27, 12)
        self.query_one("#letters", Table).fill(
            [("id", 8), ("since", since), ("kept", 7), ("image", room)],
            [
                (it.id, lines.letter_cells(it, images.short(prefix, it.key or "-"), room))
                for it in group.letters
            ],
        )
        self.query_one("#letters").focus()

    def on_data_table_row_selected(self, chosen: DataTable.RowSelected) -> None:
        chosen.stop()
        letter = next(it for it in self._group.letters if it.id == chosen.row_key.value)
        if letter.key:
            self.app.push_screen(ImageScreen(self._source, letter.key))
        else:
            self.notify("nothing in it says which image it is about", severity="warning")


class StepScreen(Drill):
    """One step: how it is set up, its queue over time, and its dead letters."""

    BINDINGS: ClassVar = [Binding("d", "letters", "its dead letters")]

    def __init__(self, watching: Watch, step: str) -> None:
        super().__init__()
        self._watching, self._step = watching, step

    def parts(self) -> Iterable[Any]:
        with VerticalScroll():
            yield Static(id="about")
            yield Static(id="chart")
            yield Static(classes="hint")

    def ask(self) -> Callable[[], None]:
        return self.fresh

    def fresh(self) -> None:
        """Show the step as the last tick has it."""
        tick = self._watching.tick
        step = next((it for it in tick.steps if it.name == self._step), None) if tick else None
        if step is None:
            return
        names = dict(zip(lines.STEP_COLUMNS, lines.step_cells(step, (), 0), strict=True))
        told = [
            f"{cell.plain} {name}" for name, cell in names.items() if cell.plain and name != "step"
        ]
        self._say(f"[bold]{render.safe(step.name)}[/]  {' · '.join(told)}")
        self.query_one("#about", Static).update(self._about())
        self.query_one("#chart", Static).update(self._chart(step.queue))
        name = step.name
        hint = (
            f"imgpipe logs {name} -f"
            if step.calls is not None
            else f"imgpipe dlq list --queue {name}"
        )
        self.query_one(".hint", Static).update(Text.from_markup(render.step(render.safe(hint))))

    def _about(self) -> Any:
        from imgpipe.cli.views.metadata import about

        told = self._watching.source.about(self._step)
        return about({label: render.safe(text) for label, text in told.items()})

    def _chart(self, queue: str | None) -> Text:
        values = list(self._watching.history.get(queue or "", ()))
        if queue is None:
            return Text("")
        if not any(values):
            return Text("\nits queue has been empty all the time\n", style="dim")
        width = max(self.app.size.width - 6, 20)
        shown = values[-(width - 8) * 2 :]
        drawn = plot(
            {queue: shown}, {queue: "cyan"}, self._watching.interval_s, width, CHART_HEIGHT
        )
        return Text("\n") + Text.from_ansi(drawn) + Text("\n")

    def action_letters(self) -> None:
        self.app.push_screen(LettersScreen(self._watching.source, self._step))
