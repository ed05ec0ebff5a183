"""How an audit looks: a line a finding as it is found, then the count of every version by its status."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.cli.views import words
from imgpipe.operate.audit.law import KINDS, STATUSES, UNHEARD
from imgpipe.runtime.log import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from imgpipe.operate.audit.law import Finding
    from imgpipe.operate.audit.walk import Tally

STYLES = {
    "missing": "red",
    "before": "yellow",
    "unmade": "red",
    "stale": "yellow",
    "letter": "yellow",
}
_NAMES = {"none": "[red]no status[/]", "unheard": f"[dim]{UNHEARD}[/]"}


def line(finding: Finding, done: str) -> str:
    """Return one finding, and what was or would be done about it."""
    style = STYLES.get(finding.kind, "dim")
    text = f"[{style}]{finding.kind:<10}[/] {render.safe(finding.key)}  {render.safe(finding.why)}"
    return f"{text} [cyan]→ {render.safe(done)}[/]" if done else text


def finding_json(finding: Finding, done: str, *, healed: bool) -> dict[str, Any]:
    return {**finding.as_json(), "remedy": done or None, "healed": healed}


def summary(tally: Tally) -> Iterator[RenderableType]:
    """Yield the proof: every version has one status, and how many have which."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(justify="right")
    made.add_column()
    for status in STATUSES:
        if tally.statuses[status]:
            name = _NAMES.get(status) or words.status(status)
            made.add_row(f"{tally.statuses[status]:,}", name)
    made.add_row(f"[bold]{tally.versions:,}[/]", "[bold]versions of uploads in all[/]")
    yield made
    for kind, meaning in KINDS.items():
        if count := tally.findings[kind]:
            yield f"[{STYLES.get(kind, 'dim')}]{count:,} {kind}[/]: {meaning}"
    if not tally.findings.total():
        yield "[green]every version has its one status, and nothing is missing or left over[/]"


class Document:
    """One JSON object on stdout whose findings are written as they come."""

    def __init__(self) -> None:
        self._count = 0
        sys.stdout.write('{"findings": [')

    def add(self, value: dict[str, Any]) -> None:
        sys.stdout.write(f"{',' if self._count else ''}\n  {dumps(value)}")
        self._count += 1

    def end(self, tally: Tally, *, healed: int, ended: bool) -> None:
        about = {
            "versions": tally.versions,
            "statuses": {status: tally.statuses[status] for status in STATUSES},
            "balanced": tally.balanced,
            "counts": dict(tally.findings),
            "healed": healed,
            "ended": ended,
        }
        sys.stdout.write(f'\n], "summary": {json.dumps(about)}}}\n')
        sys.stdout.flush()
