"""Which dead letters are meant: the options that the commands share, and the letters that fit them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from imgpipe.cli import render

if TYPE_CHECKING:
    from imgpipe.operate.dlq.choose import Choice
    from imgpipe.operate.dlq.letters import Home, Letter
    from imgpipe.operate.dlq.mover import Outcome
    from imgpipe.operate.project import Project

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


class Asked(TypedDict, total=False):
    """The conditions that most commands take."""

    step: str | None
    error: str | None
    key: str | None
    queue: str | None
    group: str | None


def open_pipeline(
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


def find(project: Project, choice: Choice) -> tuple[list[Letter], list[Home]]:
    from imgpipe.operate import up
    from imgpipe.operate.dlq import causes, choose, find, queues

    homes = choose.homes_for(queues.homes(project.graph), choice)
    with up.needed(project):
        letters = causes.explained(project, find.letters(project, homes))
    if not letters:
        up.refuse_if_down(project)
    return choose.chosen(letters, choice), homes


def carried_out(outcomes: Iterable[Outcome], total: int, what: str) -> list[Outcome]:
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
            disable=not total or not console.is_terminal,
        )
    )
