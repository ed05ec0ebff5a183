"""`why`: what became of one image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe import errors
from imgpipe.cli import options, render

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

PANEL = "Watch and mend"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(why)


def why(
    key: Annotated[str, typer.Argument(help="An image, with or without the prefix.")],
    version: Annotated[
        str | None,
        typer.Option("--version-id", help="An earlier version, whose id may be cut short."),
    ] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show the way of one image hop by hop, where it broke, why, and what to run next.

    Exits 3 unless the image is done, removed or superseded.
    """
    from imgpipe.operate.why.verdict import why as run

    story = run(_open(file, env), key, version)
    if json:
        render.print_json(story.as_json())
    else:
        from imgpipe.cli.views import words
        from imgpipe.cli.views.why import page

        words.put(*page(story))
    if not story.well:
        raise typer.Exit(errors.PENDING)


def _open(file: Path, env: str) -> Project:
    from imgpipe.operate import up
    from imgpipe.operate.project import open_project

    project = open_project(file, env)
    up.refuse_if_down(project)
    return project
