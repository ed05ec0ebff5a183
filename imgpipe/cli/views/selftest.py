"""How a self-test looks: a line a check as it ends, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.cli.views import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.operate.selftest.run import Check

MARKS = {"came": "[green]✓[/]", "missing": "[bold red]✗[/]", "skipped": "[dim]·[/]"}


def line(check: Check) -> str:
    """Return `✓ good image      1.4 s  done`."""
    seconds = f"{check.ms / 1000:.1f} s"
    name = f"{check.name:<15}"
    return f"{MARKS[check.state]} {name} [dim]{seconds:>8}[/]  {render.safe(check.seen)}"


def document(checks: Sequence[Check]) -> dict[str, Any]:
    return {"passed": _passed(checks), "checks": [check.as_json() for check in checks]}


def verdict(checks: Sequence[Check]) -> str:
    if _passed(checks):
        return "[green]the pipeline works[/]"
    missing = [check.name for check in checks if check.state == "missing"]
    return f"[red]{words.plural(len(missing), 'thing')} did not come:[/] {', '.join(missing)}"


def _passed(checks: Sequence[Check]) -> bool:
    return all(check.state != "missing" for check in checks)
