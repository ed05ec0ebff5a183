"""`worker`: do a step's work on this machine, in Lambda's place."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe.cli import options, render
from imgpipe.errors import INTERRUPTED, UsageError

if TYPE_CHECKING:
    from imgpipe.operate.worker import Plan, Workers

PANEL = "Images"
MOST_HOLD_S = 12 * 3600


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(worker)


def worker(
    step: Annotated[
        str | None, typer.Argument(metavar="[STEP]", help="Whose queue to work on.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Work for every step with `via: worker`.")
    ] = False,
    processes: Annotated[
        int, typer.Option("--processes", "-n", min=1, max=256, help="So many for each step.")
    ] = 1,
    grace: Annotated[
        str, typer.Option(help="How long an image in work may take after SIGTERM or Ctrl-C.")
    ] = "60s",
    hold: Annotated[
        str,
        typer.Option(
            help="How long an image stays out of others' reach if a worker dies with it; 5s to 12h."
        ),
    ] = "60s",
    health: Annotated[
        Path | None,
        typer.Option(help="Keep a file here that says how the workers are (JSON).", dir_okay=False),
    ] = None,
    metrics: Annotated[str, typer.Option(help="How often a metrics line is said.")] = "60s",
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Work on a step's queue on this machine, in Lambda's place, until Ctrl-C or SIGTERM.

    The same handler runs, a message at a time. What is in work when it stops is finished, what waits goes back.
    """
    from imgpipe.operate import up
    from imgpipe.operate import worker as verb
    from imgpipe.operate.project import open_project
    from imgpipe.operate.times import duration

    if (step is None) != every:
        raise UsageError("imgpipe worker", "name a step, or say --all", hint="imgpipe worker --all")
    project = open_project(file, env)
    plan = verb.Plan(
        branches=verb.branches(project.graph, step),
        processes=processes,
        grace_s=duration(grace),
        hold_s=_hold_s(hold),
        metrics_s=max(1.0, duration(metrics)),
        health=health,
    )
    up.refuse_if_down(project)
    workers = verb.Workers(project, plan)
    _told_to_stop(workers)
    render.err().print(
        f"working: {render.safe(verb.summary(plan.branches, processes))}  [dim]Ctrl-C ends[/]"
    )
    _follow(workers, plan, json=json)
    render.err().print(_ended(workers))
    if workers.killed:
        raise typer.Exit(INTERRUPTED)


def _ended(workers: Workers) -> str:
    done, failed, others = workers.tally
    text = f"stopped: {done:,} done, {failed:,} attempts failed"
    if others:
        text += f", {others:,} messages with no image for the step"
    if workers.killed:
        text += "\n[yellow]killed at work[/]: what was in work comes back after --hold"
    return text


def _hold_s(text: str) -> int:
    from imgpipe.operate.times import duration

    seconds = duration(text)
    if not 5 <= seconds <= MOST_HOLD_S:
        raise UsageError(
            f"--hold {text}", "SQS hides a message for 12h at most, and a worker needs 5s"
        )
    return int(seconds)


def _told_to_stop(workers: Workers) -> None:
    def stop(*_: object) -> None:
        render.err().print("[yellow]stopping[/]: finishing what is in work; once more kills it")
        workers.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _follow(workers: Workers, plan: Plan, *, json: bool) -> None:
    import sys

    from imgpipe.cli.views import logs as view

    colours = view.Colours()
    width = max(len(branch.name) for branch in plan.branches) + (3 if plan.processes > 1 else 0)
    for line in workers.lines():
        if json:
            sys.stdout.write(view.line_json(line) + "\n")
            sys.stdout.flush()
        elif render.out().is_terminal:
            render.out().print(view.block(line, colours, width, render.out().width))
        else:
            render.out().print(view.line(line, colours, width), soft_wrap=True)
