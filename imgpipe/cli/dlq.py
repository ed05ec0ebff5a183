"""`dlq list|show|redrive|purge`: what failed for good, why, and the way back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe import errors
from imgpipe.cli import options, render

if TYPE_CHECKING:
    from imgpipe.operate.dlq.choose import Choice
    from imgpipe.operate.dlq.letters import Home, Letter
    from imgpipe.operate.dlq.mover import Outcome
    from imgpipe.operate.dlq.route import Route
    from imgpipe.operate.project import Project


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("redrive")(redrive)
    group.command("purge")(purge)
    app.add_typer(
        group,
        name="dlq",
        help="Dead letters: what failed for good, why, and the way back.",
        rich_help_panel="Watch and mend",
    )


Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Letters by id, which may be cut short.")
]
Step = Annotated[
    str | None, typer.Option(help="Only those of a step or function, such as enhance.")
]
Error = Annotated[str | None, typer.Option(help="Only those whose error or reason contains this.")]
Key = Annotated[
    str | None, typer.Option(help="Only those of one image, with or without the prefix.")
]
Queue = Annotated[
    str | None, typer.Option(help="Only those in one queue, such as enhance-dlq or rejected.")
]


def list_letters(
    step: Step = None,
    error: Error = None,
    key: Key = None,
    queue: Queue = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """List the dead letters: what failed, in which step, why, since when, until when it is kept."""
    project, choice = _open(file, env, (), step, error, key, queue)
    letters, _ = _find(project, choice)
    if json:
        render.print_json([letter.as_json() for letter in letters])
        return
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words

    if not letters:
        render.err().print("no dead letters")
        return
    words.put(view.table(letters, words.width()))
    render.err().print(f"{words.plural(len(letters), 'dead letter')}")
    render.err().print("[cyan]next:[/] imgpipe dlq show ID, imgpipe dlq redrive")


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="A letter's id, which may be cut short.")],  # noqa: A002 - the word that people type
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show one dead letter whole: why it failed, its message, where a redrive would send it."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.operate.dlq.route import chosen

    project, choice = _open(file, env, (id,))
    [letter], _ = _find(project, choice)
    way = chosen(project.graph, letter, force=False)
    if json:
        render.print_json(view.letter_json(letter, way))
        return
    words.put(*view.page(letter, way))


def redrive(
    ids: Ids = None,
    step: Step = None,
    error: Error = None,
    key: Key = None,
    queue: Queue = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also those that the same code and settings would reject again."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go where; move nothing.")
    ] = False,
    server_side: Annotated[
        bool, typer.Option("--server-side", help="Let SQS move whole queues by itself.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", hidden=True)] = False,  # noqa: ARG001 - for scripts that always say it
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Send dead letters back to the branch that failed: all, or by id, step, error, key or queue.

    Interrupted, run it again: a letter may be sent twice, which does no harm, and none is
    lost. Exits 1 if some could not be moved.
    """
    from imgpipe.cli.views import dlq as view

    project, choice = _open(file, env, tuple(ids or ()), step, error, key, queue)
    if server_side:
        _server_side(project, choice)
        return
    letters, homes = _find(project, choice)
    routes = _routes(project, letters, force=force)
    if dry_run:
        _show_plan(routes, json)
        return
    outcomes = _run(_redriven(project, homes, routes), len(routes), "redriving")
    if json:
        render.print_json([view.outcome_json(outcome) for outcome in outcomes])
    _report(outcomes)
    if _unmoved(outcomes, named=bool(ids)):
        raise typer.Exit(errors.FAILED)


def purge(
    ids: Ids = None,
    step: Step = None,
    error: Error = None,
    key: Key = None,
    queue: Queue = None,
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Throw dead letters away for good: all or by id, step, error, key, queue. Asks first."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.cli.views.fitting import fitted
    from imgpipe.operate.dlq.mover import purge as run

    project, choice = _open(file, env, tuple(ids or ()), step, error, key, queue)
    letters, homes = _find(project, choice)
    if letters and not yes:
        width = render.err().width
        render.err().print(fitted(view.table(letters, width), width))
        _confirm(f"Throw {words.plural(len(letters), 'dead letter')} away for good?")
    outcomes = _run(run(project, homes, letters), len(letters), "purging")
    gone = [outcome for outcome in outcomes if outcome.status == "deleted"]
    if json:
        render.print_json([view.outcome_json(outcome) for outcome in outcomes])
    for outcome in outcomes:
        if outcome.status != "deleted":
            render.err().print(view.problem_line(outcome), soft_wrap=True)
    render.err().print(f"{words.plural(len(gone), 'dead letter')} purged")
    if len(gone) != len(letters):
        raise typer.Exit(errors.FAILED)


def _open(
    file: Path,
    env: str,
    ids: tuple[str, ...],
    step: str | None = None,
    error: str | None = None,
    key: str | None = None,
    queue: str | None = None,
) -> tuple[Project, Choice]:
    from imgpipe.operate.dlq.choose import Choice
    from imgpipe.operate.project import open_project

    project = open_project(file, env)
    prefix = project.graph.prefix
    return project, Choice(ids=ids, step=step, error=error, key=key, queue=queue, prefix=prefix)


def _find(project: Project, choice: Choice) -> tuple[list[Letter], list[Home]]:
    from imgpipe.operate import up
    from imgpipe.operate.dlq import causes, choose, find, queues

    homes = choose.homes_for(queues.homes(project.graph), choice)
    with up.needed(project):
        letters = causes.explained(project, find.letters(project, homes))
    if not letters:
        up.refuse_if_down(project)
    return choose.chosen(letters, choice), homes


def _routes(
    project: Project, letters: Iterable[Letter], *, force: bool
) -> list[tuple[Letter, Route]]:
    from imgpipe.operate.dlq import route

    return [(letter, route.chosen(project.graph, letter, force=force)) for letter in letters]


def _redriven(
    project: Project, homes: list[Home], routes: list[tuple[Letter, Route]]
) -> Iterator[Outcome]:
    from imgpipe.operate.dlq.mover import redrive as run

    yield from run(project, homes, routes)


def _run(outcomes: Iterable[Outcome], total: int, what: str) -> list[Outcome]:
    """Carry it out under a progress bar, which shows nothing where stderr is no terminal."""
    from rich.progress import track

    console = render.err()
    return list(
        track(
            outcomes,
            what,
            total=total,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    )


def _show_plan(routes: list[tuple[Letter, Route]], json: bool) -> None:
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words

    if json:
        render.print_json([view.letter_json(letter, way) for letter, way in routes])
    elif routes:
        words.put(*view.plan(routes))
    else:
        render.err().print("no dead letters")


def _report(outcomes: list[Outcome]) -> None:
    from imgpipe.cli.views import dlq as view

    for outcome in outcomes:
        if outcome.status != "moved":
            render.err().print(view.problem_line(outcome), soft_wrap=True)
    if not outcomes:
        render.err().print("no dead letters to redrive")
        return
    render.err().print(view.summary(outcomes))
    render.err().print("[cyan]next:[/] imgpipe status")


def _unmoved(outcomes: list[Outcome], *, named: bool) -> bool:
    """Say whether some letters should have moved and didn't. One that would only fail again may stay, unless named."""
    from imgpipe.operate.dlq.route import POINTLESS

    stuck = [it for it in outcomes if it.status != "moved" and (named or it.why != POINTLESS)]
    return bool(stuck)


def _server_side(project: Project, choice: Choice) -> None:
    """Move whole queues by SQS's own task, one after the other, with progress."""
    import time

    from imgpipe.operate.dlq import server_side

    if choice.ids or choice.error or choice.key:
        raise errors.UsageError(
            "--server-side",
            "SQS moves whole queues; it can't choose letters",
            hint="leave out --server-side",
        )
    for home in server_side.movable(project, choice):
        _follow_move(lambda home=home: server_side.move(project, home, time.sleep))  # type: ignore[misc]
    render.err().print("[cyan]next:[/] imgpipe status")


def _follow_move(move: Callable[[], Iterator[Any]]) -> None:
    from imgpipe.cli.views import words

    with render.err().status("asking SQS to move letters") as status:
        for progress in move():
            total = "" if progress.total is None else f" of {progress.total:,}"
            status.update(f"{progress.queue}: {progress.moved:,}{total} moved")
            if progress.done:
                render.err().print(
                    f"{progress.queue}: {words.plural(progress.moved, 'letter')} moved by SQS"
                )


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise errors.UsageError(
            "this needs an answer", "there is no terminal to ask on", hint="add --yes"
        )
    typer.confirm(question, abort=True, err=True)
