"""Words and colours that several commands share: statuses, ages, commands to run next."""

from __future__ import annotations

import re
import shlex
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imgpipe.cli import render
from imgpipe.cli.views.fitting import fitted
from imgpipe.runtime.errors import WORDS

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

PIPE_WIDTH = 10_000
"""A table in a pipe is as wide as it wants to be: one row, one line, for grep and awk."""

STATUS_STYLES = {
    "done": "green",
    "rejected": "yellow",
    "failed": "red",
    "in_flight": "cyan",
    "pending": "cyan",
    "removed": "dim",
    "uploaded": "green",
}

BRIEF = 60
_AROUND = (
    (
        re.compile(r"An error occurred \(\w+\) when calling the (\w+) operation(?: \([^)]*\))?:"),
        r"\1:",
    ),
    (re.compile(r"User: \S+(?: is not authorized to perform: \S+)?"), "not authorized"),
    (re.compile(r" on resource: \S+"), ""),
    (re.compile(r" with an explicit deny in an? (\S+) policy"), r", denied in an \1 policy"),
    (re.compile(r"^FilterFailed: (?=the filter )"), ""),
)
"""What is left out of an error where room is short, and what stands in its place."""

_PLAIN = {reason.value: plain for reason, plain in WORDS.items()}
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def status(word: str) -> str:
    """Return a status in its colour, as rich markup."""
    style = STATUS_STYLES.get(word, "default")
    return f"[{style}]{render.safe(word.replace('_', ' '))}[/]"


def command(*words: str) -> str:
    """Return a command that can be pasted into a shell, whatever is in its words."""
    return " ".join(quoted(word) for word in words)


def quoted(word: str) -> str:
    """Return `word` for a shell, on one line: what can't be shown is written `$'like\\nthis'`."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 image`, `1,200 images`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def reason(code: str, *, named: bool = True) -> str:
    """Return a rejection's reason in plain words, with its name for searches; any other text as it is."""
    plain = _PLAIN.get(code)
    if plain is None:
        return code
    return f"{plain} ({code})" if named else plain


def brief(text: str, most: int = BRIEF) -> str:
    """Return an error for a column of a table: without what AWS says around it, and no longer than `most` characters.

    `An error occurred (AccessDenied) when calling the GetObject operation: User: arn:… is not authorized to perform: …`
    is `GetObject: not authorized`. Who asks about the image or the letter reads all of it.
    """
    for pattern, instead in _AROUND:
        text = pattern.sub(instead, text)
    cut = text[: most - 1]
    return text if len(text) <= most else f"{cut.rpartition(' ')[0] or cut}…"


def ago(when: datetime, now: datetime | None = None) -> str:
    """Return how long ago `when` was; how soon it will be, if it hasn't been yet."""
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    return f"{render.age(seconds)} ago" if seconds >= 0 else f"in {render.age(-seconds)}"


def short_time(when: datetime) -> str:
    """Return local time: the hour of today, the date as well of other days."""
    local = when.astimezone()
    today = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def put(*parts: RenderableType) -> None:
    """Print on stdout; in a pipe, nothing is wrapped, and no line is longer than what is in it."""
    console = render.out()
    if console.is_terminal:
        _print(console, parts)
        return
    before, console.width = console.width, PIPE_WIDTH
    try:
        with console.capture() as laid_out:
            _print(console, parts)
    finally:
        console.width = before
    sys.stdout.writelines(
        f"{each.rstrip(' ')}\n" for each in laid_out.get().removesuffix("\n").split("\n")
    )


def _print(console: Console, parts: tuple[RenderableType, ...]) -> None:
    for part in parts:
        console.print(fitted(part, console.width), soft_wrap=isinstance(part, str))


def line(markup: str) -> None:
    """Print one of many lines on stdout. Laying a line out takes rich ten times as long as a pipe needs."""
    if render.out().is_terminal:
        render.out().print(markup, soft_wrap=True)
        return
    from rich.text import Text

    sys.stdout.write(f"{Text.from_markup(markup).plain}\n")


def width() -> int:
    """Return how wide what is printed on stdout may be."""
    return render.out().width if render.out().is_terminal else PIPE_WIDTH


def table(*columns: str, right: tuple[str, ...] = (), folds: tuple[str, ...] = ()) -> Table:
    """Return an empty table in which only the columns in `folds` are broken where room is short."""
    made = render.table(*columns, right=right)
    made.padding = (0, 1, 0, 0)
    for name, column in zip(columns, made.columns, strict=True):
        column.no_wrap = name not in folds
    return made
