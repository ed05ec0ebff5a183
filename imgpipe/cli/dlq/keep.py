"""`dlq rescue|purge`: letters kept past their time, or thrown away for good."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

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
    from collections.abc import Iterable

    from imgpipe.operate.dlq.letters import Home
    from imgpipe.operate.dlq.rescue import Rescued
    from imgpipe.operate.project import Project


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

    They go to `ops/rescued/` in the variants bucket, where they stay until they are put back. A letter leaves its
    queue only after it was archived, and the archive only after it is back in its queue: nothing can be lost.
    """
    asked = Asked(step=step, error=error, key=key, queue=queue, group=group)
    project, choice = open_pipeline(file, env, ids=() if back else tuple(ids or ()), **asked)
    if listing or back:
        _archived(project, tuple(ids or ()), back=back, json=json)
        return
    from datetime import UTC, datetime

    from imgpipe.cli.views import dlq as view
    from imgpipe.cli.views import words
    from imgpipe.operate.dlq import rescue as verb
    from imgpipe.operate.times import duration

    letters, homes = find(project, choice)
    if within:
        letters = verb.expiring(letters, duration(within), datetime.now(UTC))
    outcomes = carried_out(verb.archive(project, homes, letters), len(letters), "archiving")
    if json:
        render.print_json([view.outcome_json(outcome) for outcome in outcomes])
    kept = [outcome for outcome in outcomes if outcome.status == "moved"]
    for outcome in outcomes:
        if outcome.status != "moved":
            render.err().print(view.problem_line(outcome), soft_wrap=True)
    render.err().print(
        f"{words.plural(len(kept), 'dead letter')} archived{_from(it.letter.queue for it in kept)}",
        soft_wrap=True,
    )
    if kept:
        render.next_step("imgpipe dlq rescue --list, imgpipe dlq rescue --back")
    if len(kept) != len(outcomes):
        raise typer.Exit(errors.FAILED)


def _from(queues: Iterable[str]) -> str:
    """Return how many are of which queue: `: 3 of enhance-dlq, 1 of rejected`."""
    tally = Counter(queues)
    said = ", ".join(f"{count:,} of {render.safe(name)}" for name, count in sorted(tally.items()))
    return f": {said}" if said else ""


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
    queues_of = _from(each.queue for each in found)
    render.err().print(f"{words.plural(len(found), 'dead letter')} {done}{queues_of}")


def _put_back(project: Project, letter: Rescued, homes: list[Home]) -> bool:
    from imgpipe.operate.dlq import rescue

    if letter.queue not in {home.name for home in homes}:
        render.err().print(
            f"[yellow]left:[/] {letter.id[:8]}: this pipeline has no queue {render.safe(letter.queue)} any more"
        )
        return False
    rescue.put_back(project, letter, homes)
    return True


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

    asked = Asked(step=step, error=error, key=key, queue=queue, group=group)
    project, choice = open_pipeline(
        file, env, ids=tuple(ids or ()), older=older, newer=newer, **asked
    )
    letters, homes = find(project, choice)
    if letters and not yes:
        width = render.err().width
        render.err().print(fitted(view.table(letters, width, project.graph.prefix), width))
        asking.confirm(
            "throwing letters away",
            f"Throw {words.plural(len(letters), 'dead letter')} away for good?",
        )
    outcomes = carried_out(run(project, homes, letters), len(letters), "purging")
    gone = [outcome for outcome in outcomes if outcome.status == "deleted"]
    if json:
        render.print_json([view.outcome_json(outcome) for outcome in outcomes])
    for outcome in outcomes:
        if outcome.status != "deleted":
            render.err().print(view.problem_line(outcome), soft_wrap=True)
    render.err().print(f"{words.plural(len(gone), 'dead letter')} purged")
    if len(gone) != len(letters):
        raise typer.Exit(errors.FAILED)
