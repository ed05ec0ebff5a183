"""`status`, `watch`, `logs`: how a pipeline is, how its queues move, what its functions say."""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe import errors
from imgpipe.cli import options, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.cli.views.watch import Chart
    from imgpipe.operate.project import Project
    from imgpipe.operate.watch import Sample

PANEL = "Watch and mend"
LEFT_BEHIND = 20
"""Lines of the chart that stays in the terminal after `watch`."""
LogFile = Annotated[
    Path, typer.Option("--file", envvar="IMGPIPE_FILE", help="The pipeline's file.", dir_okay=False)
]
"""Without `-f`, which for a log means to follow it."""


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(status)
    app.command(rich_help_panel=PANEL)(watch)
    app.command(rich_help_panel=PANEL)(logs)


def status(
    watching: Annotated[bool, typer.Option("--watch", "-w", help="Redraw until Ctrl-C.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 3 when something is wrong.")] = False,
    interval: Annotated[str, typer.Option(help="With --watch: how often.")] = "2s",
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show how the pipeline is: queues, dead letters, functions, alarms, images by status, and what is wrong."""
    from imgpipe.operate.status import NOT_UP, ask
    from imgpipe.operate.times import duration

    interval_s = duration(interval)
    project = _open(file, env)
    if watching:
        _redraw(project, interval_s)
        return
    found = ask(project)
    if json:
        render.print_json(found.as_json())
    elif not found.up:
        name = f"pipeline {project.graph.pipeline} in {env}"
        raise errors.PendingError(name, "it is not up", hint=NOT_UP.hint)
    else:
        from imgpipe.cli.views import words
        from imgpipe.cli.views.status import page

        words.put(page(found, _title(project)))
    if not found.up or (check and not found.healthy):
        raise typer.Exit(errors.PENDING)


def watch(
    interval: Annotated[str, typer.Option(help="The time between samples.")] = "1s",
    count: Annotated[int | None, typer.Option(help="End after so many samples.", min=1)] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Draw the depth of the queues over time: a live chart on a terminal, a line a sample in a pipe."""
    from imgpipe.cli.views import watch as view
    from imgpipe.operate import up
    from imgpipe.operate.times import duration
    from imgpipe.operate.watch import samples

    interval_s = duration(interval)
    project = _open(file, env)
    coming = up.over(project, samples(project, interval_s, count))
    if json or not render.out().is_terminal:
        for sample in coming:
            sys.stdout.write(
                (json_text.dumps(sample.as_json()) if json else view.line(sample)) + "\n"
            )
            sys.stdout.flush()
        return
    _draw(view.Chart(_title(project), interval_s), coming)


def _draw(chart: Chart, coming: Iterator[Sample]) -> None:
    """Redraw the chart on a screen of its own until Ctrl-C, the usual end; then leave the last one behind."""
    from rich.live import Live

    console = render.out()
    ended = False
    try:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            for sample in coming:
                chart.add(sample)
                live.update(chart.page(console.width, console.height), refresh=True)
    except KeyboardInterrupt:
        ended = True
    if chart.begun:
        console.print(chart.page(console.width, min(console.height - 1, LEFT_BEHIND), ended=True))
    if ended:
        raise typer.Exit(errors.INTERRUPTED)


def logs(
    step: Annotated[
        str | None,
        typer.Argument(metavar="STEP", help="A step or function; all of them otherwise."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is logged next.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(help="Only the invocations that worked on one image, without other images."),
    ] = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Only one invocation, by its request id.")
    ] = None,
    only_errors: Annotated[
        bool, typer.Option("--errors", help="Only failures: raised, tried again, killed.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help="How far back: an age, a date or a time. 10m; 1d with --key or --request.",
            show_default=False,
        ),
    ] = None,
    env: options.Env = options.LOCAL,
    file: LogFile = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show the functions' logs, merged by time; of one step or of all.

    `--key` and `--request` find whole invocations: also their tracebacks and reports, which name no image.
    """
    from datetime import UTC, datetime

    from imgpipe.cli.views import logs as view
    from imgpipe.cli.views import words
    from imgpipe.operate import images, up
    from imgpipe.operate import logs as verb
    from imgpipe.operate.times import moment

    if key and request:
        raise errors.UsageError("--key and --request", "give one of them")
    start = moment(since or ("1d" if key or request else "10m"), datetime.now(UTC))
    project = _open(file, env)
    functions = verb.branches(project.graph, step)
    wanted = verb.Wanted(
        keys=images.candidates(project.graph.prefix, key) if key else (),
        request=request or "",
        errors=only_errors,
    )
    colours, width = view.Colours(), max(len(branch.name) for branch in functions)
    read = verb.follow if follow else verb.since
    lines = read(project, functions, start, wanted)
    nothing, terminal = True, render.out()
    for line in up.over(project, lines):
        nothing = False
        if json:
            sys.stdout.write(view.line_json(line) + "\n")
            sys.stdout.flush()
        elif terminal.is_terminal:
            terminal.print(view.block(line, colours, width, terminal.width))
        else:
            words.line(view.line(line, colours, width))
            sys.stdout.flush()
    if nothing:
        about = " about it" if wanted.whole_invocations else ""
        render.err().print(
            f"nothing was logged{about} since {start.astimezone():%Y-%m-%d %H:%M:%S}"
        )


def _open(file: Path, env: str) -> Project:
    from imgpipe.operate.project import open_project

    return open_project(file, env)


def _title(project: Project) -> str:
    return f"{project.graph.pipeline} · {project.graph.environment}"


def _redraw(project: Project, interval_s: float) -> None:
    """Show the status again and again. A moment without an answer is shown, not the end."""
    import time

    from rich.live import Live

    from imgpipe.cli.views.status import page
    from imgpipe.operate.status import ask

    with Live(console=render.out(), auto_refresh=False, screen=render.out().is_terminal) as live:
        while True:
            try:
                live.update(page(ask(project), _title(project)), refresh=True)
            except errors.UnreachableError as error:
                live.update(f"[red]{render.safe(error)}[/]", refresh=True)
            time.sleep(interval_s)
