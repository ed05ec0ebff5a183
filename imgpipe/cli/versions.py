"""`versions` and `rollback`: what each `up` put there, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe.cli import asking, options, render
from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from imgpipe.operate.project import Project
    from imgpipe.operate.versions import Version

PANEL = "Put up and take down"
FunctionName = Annotated[
    str | None,
    typer.Argument(metavar="[FUNCTION]", help="A function's short name, such as images."),
]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(versions)
    app.command(rich_help_panel=PANEL)(rollback)


def versions(
    function: FunctionName = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """List the versions of the functions: what each `up` put there, and which is running."""
    from imgpipe.operate import versions as verb
    from imgpipe.operate.project import open_project

    found = verb.listed(open_project(file, env), function)
    if json:
        render.print_json([version.as_json() for version in found])
        return
    if not found:
        render.err().print("no function has a published version")
        render.next_step("imgpipe up")
        return
    from imgpipe.cli.views import words

    words.put(_table(found))
    render.next_step("imgpipe rollback FUNCTION --to VERSION")


def rollback(
    function: FunctionName = None,
    to: Annotated[
        int | None,
        typer.Option(min=0, help="The version to go back to; by default the one before."),
    ] = None,
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Make a function what it was: code, settings, memory, timeout. Without FUNCTION, undo the last `up`'s functions.

    pipeline.yaml and lambdas/ stay as they are: the next `up` brings back what they say. With --json, a list of what
    went back.
    """
    from imgpipe.operate import last_up
    from imgpipe.operate import versions as verb
    from imgpipe.operate.project import open_project
    from imgpipe.operate.provision import site_of

    if to is not None and function is None:
        raise UsageError(
            "--to", "which function is it a version of?", hint="imgpipe rollback FUNCTION --to 3"
        )
    project = open_project(file, env)
    known = verb.listed(project, function)
    if function is None:
        wanted = verb.before_last_up(known, last_up.read(project))
    else:
        wanted = [verb.target(known, function, to)]
    changing = _shown(project, wanted)
    if changing and not yes:
        asking.confirm("the rollback", "Roll back?")
    for version, _ in changing:
        verb.rollback(project, site_of(project), version)
        render.err().print(f"{version.name} is at version {version.number} again")
    if json:
        render.print_json(
            [
                {"function": it.name, "version": it.number, "changes": words}
                for it, words in changing
            ]
        )
    if changing:
        render.next_step("imgpipe versions; imgpipe plan shows what `up` would bring back")
    else:
        render.err().print("nothing to change: it is so already")


def _shown(project: Project, wanted: Sequence[Version]) -> list[tuple[Version, list[str]]]:
    """Print what would change; return the versions that change anything, and what."""
    from imgpipe.operate import versions as verb

    live, changing = verb.live(project, wanted), []
    for version in wanted:
        words = list(verb.changes(live.get(version.function.name), version.function))
        if words:
            changing.append((version, words))
            render.err().print(
                f"[yellow]~[/] {version.name} → version {version.number}: {', '.join(words)}"
            )
    return changing


def _table(found: Sequence[Version]) -> Table:
    from imgpipe.cli.views import words
    from imgpipe.operate.times import from_iso

    made = words.table(
        "function",
        "version",
        "since",
        "code",
        "settings",
        "memory",
        "",
        right=("version", "memory"),
    )
    for version in found:
        when = from_iso(version.at)
        made.add_row(
            version.name,
            str(version.number),
            words.short_time(when) if when else "-",
            version.function.code_hash[:12],
            version.settings,
            f"{version.function.memory_mb:,} MB",
            "[green]running[/]" if version.current else "",
        )
    return made
