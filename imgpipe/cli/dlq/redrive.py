"""`dlq redrive`: the way back to the branch that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe import errors
from imgpipe.cli import asking, options, render
from imgpipe.cli.dlq.choosing import (
    Asked,
    Error,
    Group,
    Ids,
    Key,
    Newer,
    Older,
    Queue,
    Step,
    carried_out,
    find,
    open_pipeline,
)

if TYPE_CHECKING:
    from imgpipe.operate.dlq.choose import Choice
    from imgpipe.operate.dlq.letters import Home, Letter
    from imgpipe.operate.dlq.mover import Outcome
    from imgpipe.operate.dlq.route import Route
    from imgpipe.operate.project import Project


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
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Send dead letters back to the branch that failed: all, or by id, group, step, error, key, queue or age.

    Shows what would go where, by group, and asks first. Interrupted, run it again: a letter may be sent twice, which
    does no harm, and none is lost. Exits 1 if some could not be moved.
    """
    from imgpipe.cli.views import dlq as view
    from imgpipe.operate.dlq import by_group

    asked = Asked(step=step, error=error, key=key, queue=queue, group=group)
    project, choice = open_pipeline(
        file, env, ids=tuple(ids or ()), older=older, newer=newer, **asked
    )
    if server_side:
        _server_side(project, choice, yes=yes)
        return
    letters, homes = find(project, choice)
    routes = by_group.routes(project, letters, force=force)
    if dry_run:
        _show_plan(routes, project.graph.prefix, json=json)
        return
    if not yes:
        _approve(routes, canary=canary)
    untried: list[Outcome] = []
    if canary:
        routes, untried = _after_canaries(project, homes, routes, timeout)
    outcomes = [*untried, *carried_out(_redriven(project, homes, routes), len(routes), "redriving")]
    if json:
        render.print_json([view.outcome_json(outcome) for outcome in outcomes])
    _report(outcomes)
    if _unmoved(outcomes, named=bool(ids)):
        raise typer.Exit(errors.FAILED)


def _approve(routes: list[tuple[Letter, Route]], *, canary: bool) -> None:
    """Show what would go where, and ask; what can't go anywhere needs no asking."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.cli.views.fitting import fitted
    from imgpipe.operate.dlq.route import NoWay

    going = sum(not isinstance(way, NoWay) for _, way in routes)
    if not going:
        return
    console = render.err()
    for part in view.plan_by_group(routes, console.width):
        console.print(fitted(part, console.width))
    first = ", one of each group first" if canary else ""
    asking.confirm("the redrive", f"Send {words.plural(going, 'dead letter')} again{first}?")


def _after_canaries(
    project: Project, homes: list[Home], routes: list[tuple[Letter, Route]], timeout: str
) -> tuple[list[tuple[Letter, Route]], list[Outcome]]:
    """Send one letter of each group and wait; return what may follow, and what became of the others."""
    from imgpipe.cli.views import dlq as view
    from imgpipe.operate.dlq import canary
    from imgpipe.operate.times import duration

    def send(ways: Sequence[tuple[Letter, Route]]) -> list[Outcome]:
        return carried_out(_redriven(project, homes, ways), len(ways), "canaries")

    def tell(tried: canary.Tried) -> None:
        render.err().print(view.canary_line(tried), soft_wrap=True)

    return canary.lead(project, routes, send, duration(timeout), tell)


def _redriven(
    project: Project, homes: list[Home], routes: Sequence[tuple[Letter, Route]]
) -> Iterator[Outcome]:
    from imgpipe.operate.dlq.mover import redrive as run

    yield from run(project, homes, routes)


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
    from imgpipe.operate.dlq import advice

    for line in view.problems(it for it in outcomes if it.status != "moved"):
        render.err().print(line, soft_wrap=True)
    if not outcomes:
        render.err().print("no dead letters to redrive")
        return
    render.err().print(view.summary(outcomes))
    stays = [it.letter for it in outcomes if it.status == "left"]
    denied = any(map(advice.is_denied, stays))
    render.next_step(advice.DOCTOR if denied else f"imgpipe {'dlq groups' if stays else 'status'}")


def _unmoved(outcomes: list[Outcome], *, named: bool) -> bool:
    """Say whether some letters should have moved and didn't. One that would only fail again may stay, unless named."""
    from imgpipe.operate.dlq.route import POINTLESS

    stuck = [it for it in outcomes if it.status != "moved" and (named or it.why != POINTLESS)]
    return bool(stuck)


def _server_side(project: Project, choice: Choice, *, yes: bool) -> None:
    """Move whole queues by SQS's own task, one after the other, with progress."""
    import time

    from imgpipe.operate.dlq import server_side

    if choice.ids or choice.error or choice.key or choice.group or choice.older_s or choice.newer_s:
        raise errors.UsageError(
            "--server-side",
            "SQS moves whole queues; it can't choose letters",
            hint="leave out --server-side",
        )
    homes = server_side.movable(project, choice)
    if homes and not yes:
        names = ", ".join(home.name for home in homes)
        asking.confirm("the redrive", f"Let SQS move all of {names}?")
    for home in homes:
        _follow_move(lambda home=home: server_side.move(project, home, time.sleep))  # type: ignore[misc]
    render.next_step("imgpipe status")


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
