"""How an erasure looks: what there is of an upload, and the receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.cli.views import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from imgpipe.operate.erase.run import Receipt
    from imgpipe.operate.erase.survey import Holdings

SHOWN = 8
WORDS = {
    "versions": "versions",
    "unfinished_uploads": "unfinished uploads",
    "outputs": "outputs",
    "rows": "rows",
    "dead_letters": "dead letters",
    "queued_messages": "queued messages",
    "notes": "notes that name it",
}


def holdings(found: Holdings) -> Iterator[RenderableType]:
    """Yield what would be removed."""
    yield f"[bold]{render.safe(found.key)}[/]"
    yield _table(found.as_json())


def receipt(done: Receipt) -> Iterator[RenderableType]:
    end = "[green]erased[/]" if done.complete else "[yellow]not all of it yet[/]"
    yield f"[bold]{render.safe(done.key)}[/]  {end}"
    yield _table(done.removed)
    for kind, how in done.verified.items():
        yield f"[green]✓[/] no {WORDS[kind]} [dim]({render.safe(how)})[/]"
    if done.name:
        yield f"[dim]the receipt is kept as[/] {render.safe(done.name)}"


def _table(removed: Mapping[str, list[Any]]) -> RenderableType:
    made = words.table("what", "count", "which", right=("count",), folds=("which",))
    for kind, some in removed.items():
        if some:
            names = [_name(it) for it in some[:SHOWN]]
            more = f", and {len(some) - SHOWN:,} more" if len(some) > SHOWN else ""
            made.add_row(WORDS[kind], f"{len(some):,}", render.safe(", ".join(names) + more))
    return made


def _name(it: Any) -> str:
    if isinstance(it, str):
        return it
    if "what" in it:
        return f"{it['name']} ({it['what']})"
    if "version_id" in it:
        return f"{it['version_id'][:8]}{' (delete marker)' if it['delete_marker'] else ''}"
    return f"{it['id'][:8]} in {it['queue']}"
