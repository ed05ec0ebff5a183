"""How processed files look: one as a page, many as a table that grows, and a sum; or a JSON list."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from imgpipe.cli import render
from imgpipe.cli.views import metadata, words
from imgpipe.cli.views.json_list import JsonList
from imgpipe.operate.process.work import Processed

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType
    from rich.table import Table

    from imgpipe.deploy.problems import Problem
    from imgpipe.operate.upload.sources import LeftOut

PAGE = 100
"""Rows a table has before the next one begins, so that a long run shows something early."""

MADE = 20
"""Columns of `12 variants, 1.71 MB`, which is never broken."""

LISTED = 6
"""Variants that a table names; of more, it gives the number."""


@dataclass
class Tally:
    """What there was so far, in bounded memory."""

    started: float = field(default_factory=time.monotonic)
    files: int = 0
    done: int = 0
    ms: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    broken: str = ""
    """The first place in the project's own code that failed."""

    @property
    def all_done(self) -> bool:
        return self.done == self.files

    def add(self, end: Processed) -> None:
        self.files += 1
        if end.status == "failed" and not self.broken:
            self.broken = end.message
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


def tell_limits(file: Path, over: Sequence[Problem]) -> None:
    """Say what keeps a cloud from taking this pipeline; here it does its work all the same."""
    for problem in over:
        render.err().print(
            f"[yellow]works here, not in a cloud:[/] {render.safe(problem.told(file))}",
            soft_wrap=True,
        )


def left_out(item: LeftOut) -> None:
    render.err().print(
        f"[yellow]left out:[/] {render.safe(item.path)}: {item.why}; --all takes it", soft_wrap=True
    )


def for_people(counted_ends: tuple[Tally, Iterator[Processed]]) -> Tally:
    """Print one file as a page, several as tables, and how long it took."""
    tally, ends = counted_ends
    first = list(islice(ends, 2))
    if len(first) == 1:
        words.put(*page(first[0]))
        return tally
    coming = chain(first, ends)
    while some := list(islice(coming, PAGE)):
        folder = _shared_folder(some)
        if folder:
            words.put(f"in {render.safe(folder)}:")
        words.put(table(some, words.width(), folder))
    render.err().print(_sum(tally))
    if tally.broken:
        render.err().print(_mend(tally.broken), soft_wrap=True)
    return tally


def _mend(place: str) -> str:
    return f"[cyan]next:[/] mend {render.safe(place)}, and run the same again"


def page(end: Processed) -> Iterator[RenderableType]:
    """Yield the parts of one file's page: how it ended, what it shows, what was made of it."""
    yield f"[bold]{render.safe(end.file)}[/]  {words.status(end.status)}"
    took = f"{end.ms:,.0f} ms: {_shares(end)}" if end.functions else ""
    if end.status == "done":
        yield metadata.about({"took": took, **metadata.described(end.facts, end.size)})
    else:
        yield render.safe(_refusal(end))
        yield metadata.about({"took": took})
    if end.variants:
        yield ""
        yield _variants(end)
    if end.status == "failed" and end.message:
        yield ""
        yield _mend(end.message)


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


def table(ends: Iterable[Processed], width: int, folder: str = "") -> Table:
    """Return a table with a row a file of `folder`: its variants with their bytes, or why there are none.

    Where there is no room, or where there are many, the variants together; where there is no room,
    the reason without what was found.
    """
    wide = width >= 120
    last = "variants, or why not"
    made = words.table("file", "", "size", "ms", last, right=("size", "ms"), folds=("file", last))
    made.columns[-1].min_width = MADE
    for end in ends:
        done = end.status == "done"
        told = _made(end, wide=wide) if done else _refusal(end) if wide else end.why or end.reason
        made.add_row(
            render.safe(_shortest(end.file).removeprefix(folder)),
            words.status(end.status),
            render.size(end.size) if end.size else "",
            f"{end.ms:,.0f}" if end.functions else "",
            render.safe(told),
        )
    return made


def _shortest(path: str) -> str:
    """Return `path`, or the same from here if that is shorter."""
    try:
        return min(path, os.path.relpath(path), key=len)
    except (OSError, ValueError):
        return path


def _shared_folder(ends: Sequence[Processed]) -> str:
    """Return the folder, with a slash behind it, that all files are in; "" where it says nothing."""
    folders = [os.path.dirname(_shortest(end.file)) for end in ends]  # noqa: PTH120 - as it was written
    try:
        shared = os.path.commonpath(folders) if len(folders) > 1 else ""
    except ValueError:  # some are absolute
        return ""
    return shared.rstrip("/") + "/" if shared.strip("/") else ""


def _made(end: Processed, *, wide: bool) -> str:
    note = end.facts.get("note")
    told = _listed(end) if wide and len(end.variants) <= LISTED else _counted(end)
    return f"{told}; {note}" if note else told


def _listed(end: Processed) -> str:
    made = [f"{name} {render.size(made.bytes)}" for name, made in end.variants.items()]
    return ", ".join(made) or "no variants"


def _counted(end: Processed) -> str:
    total = sum(made.bytes for made in end.variants.values())
    count = words.plural(len(end.variants), "variant")
    return f"{count}, {render.size(total)}" if end.variants else "no variants"


def _refusal(end: Processed) -> str:
    """Return why in words, with what was found, or where; without words, the error's own."""
    if end.message and end.message != end.why:
        found = end.status == "rejected"
        return f"{end.why}: {end.message}" if found else f"{end.why} ({end.message})"
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
