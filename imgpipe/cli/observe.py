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
    from imgpipe.operate.project import Project

PANEL = "Watch and mend"
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
    interval: Annotated[str, typer.Option(help="The time between two looks.")] = "2s",
    count: Annotated[int | None, typer.Option(help="End after so many looks.", min=1)] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines in place of the screen, as in a pipe.")
    ] = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Watch the pipeline: queues, rates, errors and a line an image, on a screen whose keys open what is behind a line.

    In a pipe: a line of the queues and a line an image that moved on; with --json, one document a look.
    """
    from imgpipe.operate import up
    from imgpipe.operate.times import duration

    interval_s = duration(interval)
    project = _open(file, env)
    if json or plain or not _has_screen():
        _tell(project, interval_s, count, json=json)
        return
    up.refuse_if_down(project)
    from imgpipe.cli.screen.app import Watch, left_behind
    from imgpipe.cli.screen.source import Pipeline

    screen = Watch(Pipeline(project), interval_s, count)
    screen.run()
    if last := left_behind(screen):
        render.out().print(last)
    if screen.return_code:
        raise typer.Exit(screen.return_code)


def _has_screen() -> bool:
    """Whether a person sees what we write and can press a key."""
    return render.out().is_terminal and not render.out().is_dumb_terminal and sys.stdin.isatty()


def _tell(project: Project, interval_s: float, count: int | None, *, json: bool) -> None:
    """Write what each look found, as lines or as a document a line."""
    from imgpipe.cli.views import watch as view
    from imgpipe.operate import up
    from imgpipe.operate.ticks import ticks

    for tick in up.over(project, ticks(project, interval_s, count)):
        found = [json_text.dumps(tick.as_json())] if json else view.lines(tick)
        sys.stdout.writelines(f"{line}\n" for line in found)
        sys.stdout.flush()


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
