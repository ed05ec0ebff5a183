"""How processed files look: one as a page, many as a table that grows, and a sum; or a JSON list."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from imgpipe.cli import render
from imgpipe.cli.views import metadata, words
from imgpipe.cli.views.json_list import JsonList
from imgpipe.operate.process.work import Processed

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

PAGE = 100
"""Rows a table has before the next one begins, so that a long run shows something early."""


@dataclass
class Tally:
    """What there was so far, in bounded memory."""

    started: float = field(default_factory=time.monotonic)
    files: int = 0
    done: int = 0
    ms: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def all_done(self) -> bool:
        return self.done == self.files

    def add(self, end: Processed) -> None:
        self.files += 1
        if end.status == "done":
            self.done += 1
            self.ms += end.ms
            self.bytes_in += end.size
            self.bytes_out += sum(made.bytes for made in end.variants.values())


def counted(ends: Iterable[Processed]) -> tuple[Tally, Iterator[Processed]]:
    """Return a tally and the ends, which are counted as they pass."""
    tally = Tally()

    def passing() -> Iterator[Processed]:
        with render.err().status("working") as shown:
            for end in ends:
                tally.add(end)
                shown.update(f"working: {words.plural(tally.files, 'file')}")
                yield end

    return tally, passing()


def as_json(counted_ends: tuple[Tally, Iterator[Processed]]) -> Tally:
    tally, ends = counted_ends
    with JsonList() as listing:
        for end in ends:
            listing.add(asdict(end))
    return tally


def for_people(counted_ends: tuple[Tally, Iterator[Processed]]) -> Tally:
    """Print one file as a page, several as tables, and how long it took."""
    tally, ends = counted_ends
    first = list(islice(ends, 2))
    if len(first) == 1:
        words.put(*page(first[0]))
        return tally
    coming = chain(first, ends)
    while some := list(islice(coming, PAGE)):
        words.put(table(some))
    render.err().print(_sum(tally))
    return tally


def page(end: Processed) -> Iterator[RenderableType]:
    """Yield the parts of one file's page: how it ended, what it shows, what was made of it."""
    took = f" [dim]{end.ms:,.0f} ms ({_shares(end)})[/]" if end.status == "done" else ""
    yield f"[bold]{render.safe(end.file)}[/]  {words.status(end.status)}{took}"
    if end.status != "done":
        yield render.safe(_refusal(end))
    if end.facts:
        yield metadata.about(metadata.described(end.facts, end.size))
    if end.variants:
        yield ""
        yield _variants(end)


def _shares(end: Processed) -> str:
    return ", ".join(f"{render.safe(name)} {ms:,.0f}" for name, ms in end.functions.items())


def _variants(end: Processed) -> Table:
    where = ("file",) if any(made.path for made in end.variants.values()) else ()
    made = words.table(
        "variant", "size", "bytes", "format", *where, right=("size", "bytes"), folds=where
    )
    return render.rows(
        made,
        (
            (
                name,
                f"{it.width} x {it.height}",
                render.size(it.bytes),
                it.format,
                *([it.path or ""] if where else []),
            )
            for name, it in end.variants.items()
        ),
    )


def table(ends: Iterable[Processed]) -> Table:
    """Return a table with a row a file: its variants with their bytes, or why there are none."""
    folds = ("file", "variants, or why not")
    made = words.table("file", "", "size", "ms", folds[1], right=("size", "ms"), folds=folds)
    made.columns[0].min_width = 16
    for end in ends:
        done = end.status == "done"
        told = _made(end) if done else render.safe(_refusal(end))
        made.add_row(
            render.safe(end.file),
            words.status(end.status),
            render.size(end.size) if end.size else "",
            f"{end.ms:,.0f}" if done else "",
            told,
        )
    return made


def _made(end: Processed) -> str:
    """Return the variants with their bytes; a line ends between two of them, never within one."""
    return ", ".join(
        f"{render.safe(name)} {render.size(made.bytes)}".replace(" ", "\N{NO-BREAK SPACE}")
        for name, made in end.variants.items()
    )


def _refusal(end: Processed) -> str:
    """Return why in words, with what was found; without words, the error's own."""
    if end.message and end.message != end.why:
        return f"{end.why}: {end.message}"
    return end.why or end.reason


def _sum(tally: Tally) -> str:
    told = [f"{tally.done:,} of {words.plural(tally.files, 'file')} done"]
    if tally.done:
        told += [
            f"{tally.ms / tally.done:,.0f} ms each",
            f"{render.size(tally.bytes_in)} became {render.size(tally.bytes_out)}",
            f"{render.age(time.monotonic() - tally.started)} in all",
        ]
    return ", ".join(told)
