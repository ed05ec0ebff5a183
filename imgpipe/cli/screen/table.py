"""A table that is filled anew at every tick and stays where the person is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.widgets import DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text


RIGHT = frozenset({"waiting", "in work", "dead", "calls", "errors", "throttled", "took", "letters"})
"""Columns of numbers."""


class Table(DataTable["Text"]):
    """Rows are chosen whole. At its first row a person follows what comes; elsewhere they stay at their line."""

    BINDINGS: ClassVar = [
        Binding("enter", "select_cursor", "open"),
        Binding("tab", "app.focus_next", "other table"),
    ]
    DEFAULT_CSS = """
    Table { height: auto; background: transparent; overflow-x: hidden; }
    Table > .datatable--header { background: transparent; color: $text-muted; text-style: none; }
    Table > .datatable--cursor { background: transparent; }
    Table:focus > .datatable--cursor { background: $primary 35%; }
    """

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id, cursor_type="row", cursor_foreground_priority="renderable")
        self._filled: object = None

    def fill(
        self, columns: Sequence[tuple[str, int]], rows: Sequence[tuple[str, tuple[Text, ...]]]
    ) -> None:
        """Show `rows`, each a key and its cells, under `columns`, each a name and a width."""
        if self._filled == (columns, rows):
            return
        self._filled = (columns, rows)
        chosen, top = self._chosen(), self.scroll_y
        with self.app.batch_update():
            self.clear(columns=True)
            for name, width in columns:
                self.add_column(_heading(name), width=width)
            for key, cells in rows:
                self.add_row(*cells, key=key)
            keys = [key for key, _ in rows]
            if chosen in keys:
                self.move_cursor(row=keys.index(chosen), scroll=False)
                self.scroll_to(y=top, animate=False)

    def _chosen(self) -> str | None:
        """Return the line that the person is at; none at the first one."""
        if self.cursor_row <= 0 or self.cursor_row >= self.row_count:
            return None
        return str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)


def _heading(name: str) -> Text:
    from rich.text import Text

    return Text(name, justify="right" if name in RIGHT else "left")
