"""How the work of a backfill looks before it is sent, while it is, and after; and the stale outputs in a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imgpipe.cli import render
from imgpipe.cli.hints import here
from imgpipe.cli.views import words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from imgpipe.operate.backfill.choose import Asked, Choice
    from imgpipe.operate.backfill.manifest import Run
    from imgpipe.operate.backfill.price import Estimate
    from imgpipe.operate.backfill.stale import Stale
    from imgpipe.operate.project import Project

NANO = 1_000_000_000


def dollars(amount: float) -> str:
    """Return US dollars with two digits that count: `$12.40`, `$0.0031`."""
    if not amount or amount >= 1:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if amount >= 0.0001 else f"${amount:.6f}".rstrip("0")


def duration(seconds: float) -> str:
    return render.age(max(1.0, seconds))


def choice(project: Project, asked: Asked, found: Choice, rate: float) -> Iterator[RenderableType]:
    """Yield what is to be done, what it takes, and what was passed over."""
    what = _what(asked)
    if not found.found.images:
        yield f"[green]nothing to do[/]: {_nothing(asked)}"
    else:
        plural = found.found.images != 1
        atleast = "at least " if found.full and not found.whole else ""
        yield f"{atleast}[bold]{words.plural(found.found.images, 'image')}[/] {what[1 if plural else 0]}"
        yield from _takes(project, asked, found, rate)
    yield from _passed_over(found)


def _what(asked: Asked) -> tuple[str, str]:
    """Return what is said of one image and of several."""
    step = f" of step {render.safe(asked.task.step)}" if asked.task.step else ""
    if asked.task.command == "backfill":
        return "has no row", "have no row"
    if asked.task.stale:
        return f"has stale outputs{step}", f"have stale outputs{step}"
    return f"is to be made again{step}", f"are to be made again{step}"


def _nothing(asked: Asked) -> str:
    if asked.task.command == "backfill":
        return "no image lacks a row" if not asked.below else "no such image lacks a row"
    return "no output is stale" if asked.task.stale else "no such image has a row"


def _takes(project: Project, asked: Asked, found: Choice, rate: float) -> Iterator[RenderableType]:
    from imgpipe.operate.backfill.send import prices_for

    within = found.within
    if found.full:
        yield f"the budget allows [bold]{within.images:,}[/] of them"
    if not within.images:
        return
    steps = ", ".join(f"{render.safe(step)} {count:,}" for step, count in within.steps.items())
    yield f"  steps  {steps}"
    yield f"  cost   about {dollars(within.dollars)} on AWS, for {render.size(within.bytes)} of uploads"
    seconds = prices_for(project, asked).seconds(within, rate)
    pace = f", sent at {rate:g} a second" if rate else ""
    yield f"  time   about {duration(seconds)}{pace}"


def _passed_over(found: Choice) -> Iterator[RenderableType]:
    from imgpipe.operate.backfill.work import VERDICTS

    sent_before = "sent by an earlier run already (--again: once more)"
    for verdict, meaning in [*VERDICTS.items(), ("sent_before", sent_before)]:
        if count := found.others[verdict]:
            yield f"[dim]{count:,} {meaning}[/]"


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    return {
        "images": estimate.images,
        "bytes": estimate.bytes,
        "dollars": estimate.dollars,
        "steps": dict(estimate.steps),
    }


def choice_json(project: Project, asked: Asked, found: Choice, rate: float) -> dict[str, Any]:
    from imgpipe.operate.backfill.send import prices_for

    seconds = prices_for(project, asked).seconds(found.within, rate)
    return {
        "command": asked.task.command,
        "prefix": found.prefix,
        "dry_run": True,
        "found": estimate_json(found.found),
        "within_budget": {**estimate_json(found.within), "seconds": round(seconds, 1)},
        "passed_over": dict(found.others),
    }


def run_json(run: Run, found: Choice | None) -> dict[str, Any]:
    told = {
        "run": run.id if run.images else None,
        "command": run.task.command,
        "prefix": run.prefix,
        "steps": sorted(run.hashes),
        "images": run.images,
        "dollars": run.nanodollars / NANO,
        "budget": None if run.budget is None else run.budget / NANO,
        "sent": run.sent,
        "left": run.left,
        "charged": run.charged / NANO,
        "started": run.started,
        "ended": run.ended or None,
    }
    return {**told, "passed_over": dict(found.others)} if found else told


def followed(sending: Iterator[Run], run: Run) -> Iterator[Run]:
    """Yield each state of the run as it comes, beside a bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = render.err()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("sending", total=run.images, completed=run.sent)
        for state in sending:
            bar.update(task, completed=state.sent)
            yield state


def after(run: Run) -> None:
    """Say what was sent, what was left, and what to run next."""
    told = f"sent [bold]{words.plural(run.sent - run.passed_over, 'image')}[/]"
    if run.passed_over:
        told += f", {run.passed_over:,} more were done already"
    charged = f"; charged {dollars(run.charged / NANO)}" if run.budget is not None else ""
    render.err().print(told + charged)
    if run.left:
        render.err().print(
            f"[yellow]{words.plural(run.left, 'image')} left[/]: the budget has no room for repeats"
        )
        render.next_step(f"imgpipe {_same(run)} --dry-run")
    else:
        render.next_step("imgpipe status --watch")


def _same(run: Run) -> str:
    task = run.task
    step = ["--step", task.step] if task.step else []
    return words.command(task.command, *step, *(["--stale"] if task.stale else []))


def runs(found: list[Run]) -> Table:
    made = words.table(
        "run", "command", "images", "sent", "charged", "ended", right=("images", "sent", "charged")
    )
    for run in found:
        ended = (
            f"{run.left:,} left"
            if run.ended and run.left
            else "yes"
            if run.ended
            else "[yellow]no[/]"
        )
        made.add_row(
            run.id,
            render.safe(_same(run)),
            f"{run.images:,}",
            f"{run.sent:,}",
            dollars(run.charged / NANO),
            ended,
        )
    return made


def stale(found: Stale, *, pending: bool) -> Iterator[str]:
    """Yield the stale outputs of a plan: how many images, what making them again takes, and the command."""
    estimate = found.estimate
    steps = ", ".join(f"{render.safe(step)} {count:,}" for step, count in estimate.steps.items())
    images = f"[yellow]{words.plural(estimate.images, 'image')}[/]"
    if found.exact:
        yield f"stale outputs: {images} ({steps})"
    else:
        about = "at least about" if found.more else "about"
        yield f"stale outputs: {about} {images} of {found.images:,} ({steps})"
    takes = f"about {dollars(estimate.dollars)} on AWS and {duration(found.seconds)}"
    yield f"  to make just these again takes {takes}"
    command = here("imgpipe reprocess --stale")
    yield f"  [cyan]{'then' if pending else 'next'}:[/] {command}"
    if not found.exact:
        looked_at = f"{found.looked_at:,} of them were looked at"
        yield f"  [dim]{looked_at}; {command} --dry-run counts all[/]"


def stale_json(found: Stale) -> dict[str, Any]:
    return {
        **estimate_json(found.estimate),
        "seconds": round(found.seconds, 1),
        "looked_at": found.looked_at,
        "of": found.images,
        "exact": found.exact,
    }
