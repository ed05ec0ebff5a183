"""How findings look: the gravest first, each with its reason and the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.cli import render
from imgpipe.cli.hints import here
from imgpipe.cli.views import words
from imgpipe.operate.doctor.findings import Check, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from imgpipe.operate.doctor.pages import Page
    from imgpipe.operate.doctor.run import Report

HEADS = {
    Severity.BROKEN: ("red", "✗", "broken: work is lost or stands still"),
    Severity.RISK: ("yellow", "!", "at risk: it will be, when something else happens"),
    Severity.COST: ("magenta", "$", "cost: money that buys nothing"),
}


def page(found: Report, bucket: str) -> Iterator[RenderableType]:
    """Yield the findings by severity, then a line that sums up."""
    for severity in Severity:
        some = [one for one in found.findings if one.severity is severity]
        if some:
            style, mark, head = HEADS[severity]
            yield f"[bold {style}]{head}[/]\n"
            for one in some:
                yield from _finding(one, style, mark)
    yield _sum(found, bucket)


def _finding(one: Finding, style: str, mark: str) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.table import Table

    text = Table.grid(padding=(0, 1))
    text.add_row(f"[{style}]{mark}[/]", f"[bold]{render.safe(one.what)}[/]  [dim]{one.id}[/]")
    text.add_row("", render.safe(one.why))
    yield Padding(text, (0, 0, 0, 2), expand=False)
    yield f"    [cyan]→ {render.safe(here(one.command))}[/]\n"  # not broken by us: it is to be copied


def _sum(found: Report, bucket: str) -> RenderableType:
    from rich.padding import Padding

    seen = ", ".join(
        words.plural(count, kind.removesuffix("s"))
        for kind, count in found.looked_at.items()
        if count
    )
    clean = len(found.checks) - len({one.id for one in found.findings})
    where = f" from bucket {render.safe(bucket)}" if bucket else ""
    state = (
        f"[bold]{words.plural(len(found.findings), 'finding')}[/]"
        if found.findings
        else "[bold green]ok[/]"
    )
    line = f"{state}  {clean} of {words.plural(len(found.checks), 'check')} found nothing wrong  [dim]{seen}{where}[/]"
    return Padding(line, 0, expand=False)


def explained(check: Check, about: Page) -> Iterator[RenderableType]:
    """Yield what a check is about, and what mends what it finds."""
    from imgpipe.cli.views.metadata import about as table

    yield f"[bold]{render.safe(check.id)}[/]  {render.safe(check.about)}"
    yield ""
    parts = {"cause": about.cause, "see it": about.see, "mend it": about.mend}
    yield table(
        {name: render.safe(text) for name, text in {**parts, "not ours": about.theirs}.items()}
    )
