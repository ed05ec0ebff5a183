"""`backfill`, `reprocess`: uploads from before the pipeline, and outputs of former settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe import errors
from imgpipe.cli import asking, options, render

if TYPE_CHECKING:
    from imgpipe.operate.backfill.choose import Asked, Choice
    from imgpipe.operate.backfill.manifest import Run
    from imgpipe.operate.project import Project

PANEL = "Watch and mend"
NANO = 1_000_000_000

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Count, with cost and time; send and write nothing.")
]
Images = Annotated[int | None, typer.Option("--images", "-n", min=1, help="So many at most.")]
Budget = Annotated[
    float | None,
    typer.Option("--budget", min=0.000_001, help="US dollars at most, as `imgpipe cost` reckons."),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate", "-r", min=0, help="Images a second, 100 by default; 0 is as fast as it goes."
    ),
]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="RUN", help="Go on with a run that was interrupted."),
]
Again = Annotated[
    bool, typer.Option("--again", help="Also what a run of the last 14 days has sent already.")
]

Runs = Annotated[bool, typer.Option("--runs", help="List the runs so far, of both commands.")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(backfill)
    app.command(rich_help_panel=PANEL)(reprocess)


def backfill(
    below: Annotated[
        str, typer.Argument(metavar="[PREFIX]", help="Only keys that begin so; all otherwise.")
    ] = "",
    dry_run: DryRun = False,
    images: Images = None,
    budget: Budget = None,
    rate: Rate = None,
    resume: Resume = None,
    again: Again = False,
    grace: Annotated[
        str, typer.Option(help="How long an upload may be on its way before it counts as missed.")
    ] = "15m",
    runs: Runs = False,
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Send uploads through the pipeline that it has no row of: those that were in the bucket before it was.

    What is to be done is frozen in a manifest first, within the budget; each batch is noted, so that an interrupted
    run goes on (`--resume`), also from another machine.
    """
    from datetime import timedelta

    from imgpipe.operate.backfill.choose import Asked
    from imgpipe.operate.backfill.work import Task
    from imgpipe.operate.times import duration

    project = _open(file, env)
    if runs:
        _runs(project, json=json)
        return
    asked = Asked(
        task=Task(command="backfill"),
        below=below,
        images=images,
        budget=_nano(budget),
        grace=timedelta(seconds=duration(grace)),
        again=again,
    )
    _go(project, asked, rate, resume, dry_run=dry_run, yes=yes, json=json)


def reprocess(
    below: Annotated[
        str, typer.Argument(metavar="[KEY|PREFIX]", help="An image, or all whose keys begin so.")
    ] = "",
    step: Annotated[
        str | None, typer.Option("--step", "-s", help="Only this step of pipeline.yaml.")
    ] = None,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Only what was made with other settings than those of now."),
    ] = False,
    dry_run: DryRun = False,
    images: Images = None,
    budget: Budget = None,
    rate: Rate = None,
    resume: Resume = None,
    again: Again = False,
    runs: Runs = False,
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Make outputs again: those of settings that have changed since (`--stale`), or of images and steps that you name.

    Only the branches that have such work hear of it. Frozen, budgeted and resumed as `backfill` is.
    """
    from imgpipe.operate.backfill.choose import Asked
    from imgpipe.operate.backfill.work import Task

    if runs:
        _runs(_open(file, env), json=json)
        return
    if not (below or step or stale or resume):
        raise errors.UsageError(
            "imgpipe reprocess",
            "say what: a KEY or PREFIX, --step or --stale",
            hint="imgpipe reprocess --stale --dry-run",
        )
    asked = Asked(
        task=Task(command="reprocess", step=step, stale=stale),
        below=below,
        images=images,
        budget=_nano(budget),
        again=again,
    )
    _go(_open(file, env), asked, rate, resume, dry_run=dry_run, yes=yes, json=json)


def _go(
    project: Project,
    asked: Asked,
    rate: float | None,
    resume: str | None,
    *,
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    from imgpipe.cli.views import backfill as view
    from imgpipe.cli.views import words
    from imgpipe.operate.backfill import choose, send
    from imgpipe.operate.backfill.stale import RATE

    if resume:
        run = send.resumed(project, resume)
        _send(project, run if rate is None else replace(run, rate=rate), None, json=json)
        return
    rate = RATE if rate is None else rate
    if dry_run:
        choice = send.count(project, asked)
        _refuse_nothing(asked, choice)
        if json:
            render.print_json(view.choice_json(project, asked, choice, rate))
        else:
            words.put(*view.choice(project, asked, choice, rate))
        return
    for run in choose.unfinished(project):
        command = f"imgpipe {run.task.command} --resume {run.id}"
        render.err().print(f"[yellow]an earlier run has {run.left:,} left[/]: {command}")
    render.err().print("[dim]reading the bucket and the table …[/]")
    choice, run = send.freeze(project, asked, rate)
    _refuse_nothing(asked, choice)
    if not json:
        words.put(*view.choice(project, asked, choice, rate))
    if run.images:
        _approve(project, run, yes=yes)
    _send(project, run, choice, json=json)


def _refuse_nothing(asked: Asked, choice: Choice) -> None:
    if asked.below and not choice.found.images and not choice.others:
        raise errors.MissingError(
            choice.prefix, "no upload is called so, or begins so", hint="imgpipe audit"
        )


def _approve(project: Project, run: Run, *, yes: bool) -> None:
    """Ask before anything is sent; a run that nobody wants is forgotten."""
    from imgpipe.operate.backfill import manifest, send
    from imgpipe.operate.backfill.work import Steps

    approved = False
    try:
        send.refuse_other_settings(project, Steps.of(project.graph), run)
        if not yes:
            asking.confirm("the run", f"Send {run.images:,} to be worked on?")
        approved = True
    finally:
        if not approved:
            manifest.remove(project, run)


def _send(project: Project, run: Run, choice: Choice | None, *, json: bool) -> None:
    """Send what is left of the run, with progress; say what to run next, also when it breaks off."""
    from imgpipe.cli.views import backfill as view
    from imgpipe.operate.backfill import send

    if run.images:
        render.err().print(f"run [bold]{run.id}[/]")
    ended = not run.images
    try:
        if run.images:
            for now in view.followed(send.send(project, run, send.Pace(run.rate)), run):
                run, ended = now, bool(now.ended)
    finally:
        if not ended:
            command = f"imgpipe {run.task.command} --resume {run.id}"
            render.next_step(command)
    if json:
        render.print_json(view.run_json(run, choice))
    elif run.images:
        view.after(run)


def _runs(project: Project, *, json: bool) -> None:
    from imgpipe.cli.views import backfill as view
    from imgpipe.cli.views import words
    from imgpipe.operate.backfill import manifest

    found = [manifest.load(project, run_id) for run_id in manifest.ids(project)]
    if json:
        render.print_json([view.run_json(run, None) for run in found])
    elif found:
        words.put(view.runs(found))
    else:
        render.err().print("no runs yet")


def _nano(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * NANO)


def _open(file: Path, env: str) -> Project:
    from imgpipe.operate import up
    from imgpipe.operate.project import open_project

    project = open_project(file, env)
    up.refuse_if_down(project)
    return project
