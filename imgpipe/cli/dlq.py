"""`dlq list|groups|show|redrive|purge|rescue`: what failed for good, why, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from imgpipe import errors
from imgpipe.cli import asking, options, render

if TYPE_CHECKING:
    from imgpipe.operate.dlq.choose import Choice
    from imgpipe.operate.dlq.letters import Home, Letter
    from imgpipe.operate.dlq.mover import Outcome
    from imgpipe.operate.dlq.rescue import Rescued
    from imgpipe.operate.dlq.route import Route
    from imgpipe.operate.project import Project


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    group.command("list")(list_letters)
    group.command("groups")(groups)
    group.command("show")(show)
    group.command("redrive")(redrive)
    group.command("purge")(purge)
    group.command("rescue")(rescue)
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
    str | None,
    typer.Option(
        help="Only those of one image, or of a pattern such as 'album/*.jpg'; the prefix may be left out."
    ),
]
Queue = Annotated[
    str | None, typer.Option(help="Only those in one queue, such as enhance-dlq or rejected.")
]

Group = Annotated[str | None, typer.Option(help="Only those of one group of `dlq groups`.")]
Older = Annotated[
    str | None,
    typer.Option("--older-than", metavar="AGE", help="Only those that failed longer ago: 2d, 12h."),
]
Newer = Annotated[
    str | None,
    typer.Option("--newer-than", metavar="AGE", help="Only those that failed since: 2d, 12h."),
]


class _Asked(TypedDict, total=False):
    """The conditions that most commands take."""

    step: str | None
    error: str | None
    key: str | None
    queue: str | None
    group: str | None


def list_letters(
    step: Step = None,
    error: Error = None,
    key: Key = None,
    queue: Queue = None,
    group: Group = None,
    older: Older = None,
    newer: Newer = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """List the dead letters: what failed, in which step, why, since when, until when it is kept."""
    asked = _Asked(step=step, error=error, key=key, queue=queue, group=group)
    project, choice = _open(file, env, older=older, newer=newer, **asked)
    letters, _ = _find(project, choice)
    if json:
        render.print_json([letter.as_json() for letter in letters])
        return
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words

    if not letters:
        render.err().print("no dead letters")
        return
    words.put(view.table(letters, words.width(), project.graph.prefix))
    render.err().print(f"{words.plural(len(letters), 'dead letter')}")
    render.err().print(
        "[cyan]next:[/] imgpipe dlq show ID, imgpipe dlq groups, imgpipe dlq redrive"
    )


def groups(
    step: Step = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show the dead letters by kind of failure: how many failed alike, since when, how long they are still kept."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.operate.dlq.groups import grouped

    project, choice = _open(file, env, step=step)
    found = grouped(_find(project, choice)[0])
    if json:
        render.print_json([each.as_json() for each in found])
        return
    if not found:
        render.err().print("no dead letters")
        return
    words.put(view.groups(found))
    render.err().print(
        "[cyan]next:[/] imgpipe dlq redrive --canary, or --group GROUP with list, redrive, purge, rescue"
    )


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

    project, choice = _open(file, env, ids=(id,))
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
    group: Group = None,
    older: Older = None,
    newer: Newer = None,
    canary: Annotated[
        bool,
        typer.Option(
            "--canary", help="One of each group first; the rest of it only if that one is done."
        ),
    ] = False,
    timeout: Annotated[str, typer.Option(help="How long to wait for a canary.")] = "5m",
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
    """Send dead letters back to the branch that failed: all, or by id, group, step, error, key, queue or age.

    Interrupted, run it again: a letter may be sent twice, which does no harm, and none is
    lost. Exits 1 if some could not be moved.
    """
    from imgpipe.cli.views import dlq as view
    from imgpipe.operate.dlq import by_group

    asked = _Asked(step=step, error=error, key=key, queue=queue, group=group)
    project, choice = _open(file, env, ids=tuple(ids or ()), older=older, newer=newer, **asked)
    if server_side:
        _server_side(project, choice)
        return
    letters, homes = _find(project, choice)
    routes = by_group.routes(project, letters, force=force)
    if dry_run:
        _show_plan(routes, project.graph.prefix, json=json)
        return
    untried: list[Outcome] = []
    if canary:
        routes, untried = _after_canaries(project, homes, routes, timeout)
    outcomes = [*untried, *_run(_redriven(project, homes, routes), len(routes), "redriving")]
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
    group: Group = None,
    older: Older = None,
    newer: Newer = None,
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Throw dead letters away for good: all or by id, group, step, error, key, queue, age. Asks first."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.cli.views.fitting import fitted
    from imgpipe.operate.dlq.mover import purge as run

    asked = _Asked(step=step, error=error, key=key, queue=queue, group=group)
    project, choice = _open(file, env, ids=tuple(ids or ()), older=older, newer=newer, **asked)
    letters, homes = _find(project, choice)
    if letters and not yes:
        width = render.err().width
        render.err().print(fitted(view.table(letters, width, project.graph.prefix), width))
        asking.confirm(
            "throwing letters away",
            f"Throw {words.plural(len(letters), 'dead letter')} away for good?",
        )
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


def rescue(
    ids: Ids = None,
    step: Step = None,
    error: Error = None,
    key: Key = None,
    queue: Queue = None,
    group: Group = None,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only those that their queue drops within this time: 2d."
        ),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show what was archived.")] = False,
    back: Annotated[
        bool,
        typer.Option("--back", help="Put archived letters back into their queues: all, or by ID."),
    ] = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Archive dead letters before their queue drops them, and put them back.

    They go to `ops/rescued/` in the variants bucket, where they stay until they are put back.
    """
    asked = _Asked(step=step, error=error, key=key, queue=queue, group=group)
    project, choice = _open(file, env, ids=() if back else tuple(ids or ()), **asked)
    if listing or back:
        _archived(project, tuple(ids or ()), back=back, json=json)
        return
    from datetime import UTC, datetime

    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.operate.dlq import rescue as verb
    from imgpipe.operate.times import duration

    letters, homes = _find(project, choice)
    if within:
        letters = verb.expiring(letters, duration(within), datetime.now(UTC))
    outcomes = _run(verb.archive(project, homes, letters), len(letters), "archiving")
    if json:
        render.print_json([view.outcome_json(outcome) for outcome in outcomes])
    kept = [outcome for outcome in outcomes if outcome.status == "moved"]
    for outcome in outcomes:
        if outcome.status != "moved":
            render.err().print(view.problem_line(outcome), soft_wrap=True)
    render.err().print(f"{words.plural(len(kept), 'dead letter')} archived")
    if kept:
        render.err().print("[cyan]next:[/] imgpipe dlq rescue --list, imgpipe dlq rescue --back")
    if len(kept) != len(outcomes):
        raise typer.Exit(errors.FAILED)


def _archived(project: Project, ids: tuple[str, ...], *, back: bool, json: bool) -> None:
    """List what was archived, or put it back."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.operate.dlq import queues, rescue

    homes = queues.homes(project.graph)
    found = [each for each in rescue.archived(project) if not ids or each.id.startswith(ids)]
    unknown = [wanted for wanted in ids if not any(each.id.startswith(wanted) for each in found)]
    if unknown:
        raise errors.MissingError(
            f"archived letter {unknown[0]}",
            "there is none with this id",
            hint="imgpipe dlq rescue --list",
        )
    if back:
        found = [each for each in found if _put_back(project, each, homes)]
    if json:
        render.print_json([each.as_json() for each in found])
    elif not back and found:
        words.put(view.rescued(found, project.graph.prefix))
    done = "put back" if back else "in the archive"
    render.err().print(f"{words.plural(len(found), 'dead letter')} {done}")


def _put_back(project: Project, letter: Rescued, homes: list[Home]) -> bool:
    from imgpipe.operate.dlq import rescue

    if letter.queue not in {home.name for home in homes}:
        render.err().print(
            f"[yellow]left:[/] {letter.id[:8]}: this pipeline has no queue {render.safe(letter.queue)} any more"
        )
        return False
    rescue.put_back(project, letter, homes)
    return True


def _after_canaries(
    project: Project, homes: list[Home], routes: list[tuple[Letter, Route]], timeout: str
) -> tuple[list[tuple[Letter, Route]], list[Outcome]]:
    """Send one letter of each group and wait; return what may follow, and what became of the others."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.operate.dlq import canary
    from imgpipe.operate.times import duration

    def send(ways: Sequence[tuple[Letter, Route]]) -> list[Outcome]:
        return _run(_redriven(project, homes, ways), len(ways), "canaries")

    def tell(tried: canary.Tried) -> None:
        render.err().print(view.canary_line(tried), soft_wrap=True)

    return canary.lead(project, routes, send, duration(timeout), tell)


def _open(
    file: Path,
    env: str,
    *,
    ids: tuple[str, ...] = (),
    older: str | None = None,
    newer: str | None = None,
    step: str | None = None,
    error: str | None = None,
    key: str | None = None,
    queue: str | None = None,
    group: str | None = None,
) -> tuple[Project, Choice]:
    """Open the project; return it with the letters that are meant."""
    from imgpipe.operate.dlq.choose import Choice
    from imgpipe.operate.project import open_project
    from imgpipe.operate.times import duration

    project = open_project(file, env)
    return project, Choice(
        ids=ids,
        prefix=project.graph.prefix,
        older_s=duration(older) if older else None,
        newer_s=duration(newer) if newer else None,
        step=step,
        error=error,
        key=key,
        queue=queue,
        group=group,
    )


def _find(project: Project, choice: Choice) -> tuple[list[Letter], list[Home]]:
    from imgpipe.operate import up
    from imgpipe.operate.dlq import causes, choose, find, queues

    homes = choose.homes_for(queues.homes(project.graph), choice)
    with up.needed(project):
        letters = causes.explained(project, find.letters(project, homes))
    if not letters:
        up.refuse_if_down(project)
    return choose.chosen(letters, choice), homes


def _redriven(
    project: Project, homes: list[Home], routes: Sequence[tuple[Letter, Route]]
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


def _show_plan(routes: list[tuple[Letter, Route]], prefix: str, *, json: bool) -> None:
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words

    if json:
        render.print_json([view.letter_json(letter, way) for letter, way in routes])
    elif routes:
        words.put(*view.plan(routes, prefix))
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

    if choice.ids or choice.error or choice.key or choice.group or choice.older_s or choice.newer_s:
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
