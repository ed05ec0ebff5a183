"""Tables that fit: where room is short, sentences are broken between words, and only then anything else.

rich shortens the columns that may be broken in proportion to what is in them, so a long key makes it break
`unsupported_format` in two. Here each of them keeps room for its longest word first, and what is left is shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Column, Table

READABLE = 18
"""Columns that a sentence wants, so that it isn't read word by word down the screen."""
LONGEST_WORD = 20
"""A longer word, such as a key, may be broken: it is read as well on two lines."""


def fitted(part: Any, width: int) -> Any:
    """Return `part`; a table with its columns' widths set so that it fits `width`, if it can."""
    from rich.table import Table

    if isinstance(part, Table) and part.box and any(not each.no_wrap for each in part.columns):
        _fit(part, width)
    return part


def _fit(made: Table, width: int) -> None:
    from rich.cells import cell_len

    texts = [_texts(column) for column in made.columns]
    natural = [max(map(cell_len, each)) for each in texts]
    _, right, _, left = made.padding
    between = (left + right + 1) * (len(natural) - 1)  # the padding, and the box's own space
    if sum(natural) + between <= width:
        return
    whole = [
        all_of_it if column.no_wrap else _longest_word(each)
        for column, each, all_of_it in zip(made.columns, texts, natural, strict=True)
    ]
    least = [
        word if column.no_wrap else min(word, LONGEST_WORD)
        for column, word in zip(made.columns, whole, strict=True)
    ]
    room = width - between
    if sum(least) <= room:
        lines = [
            min(max(READABLE, column.min_width or 0), all_of_it)
            for column, all_of_it in zip(made.columns, natural, strict=True)
        ]
        chosen = shares(shares(shares(least, lines, room), whole, room), natural, room)
        for column, each in zip(made.columns, chosen, strict=True):
            column.width = each


def _texts(column: Column) -> list[str]:
    """Return what is in a column, its head first, as it will read."""
    from rich.text import Text

    return [Text.from_markup(str(cell)).plain for cell in (column.header, *column.cells)]


def _longest_word(texts: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max(cell_len(word) for text in texts for word in text.split() or [""])


def shares(least: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """Return a width for each column: the least it needs, and an even part of what is left, up to what it wants."""
    given = list(least)
    spare = room - sum(given)
    hungry = [n for n, most in enumerate(wanted) if most > given[n]]
    while spare > 0 and hungry:
        part = max(1, spare // len(hungry))
        for n in hungry:
            more = min(part, wanted[n] - given[n], spare)
            given[n], spare = given[n] + more, spare - more
        hungry = [n for n in hungry if wanted[n] > given[n]]
    return given
