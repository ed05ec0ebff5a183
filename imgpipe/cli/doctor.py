"""`doctor`: what is wrong, why, and the command that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe import cloud, errors
from imgpipe.cli import options, render

if TYPE_CHECKING:
    from imgpipe.cloud import Cloud
    from imgpipe.operate.doctor.run import Report

PANEL = "Watch and mend"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(doctor)


def doctor(
    check: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="ID", help="Only this check; may be given again."),
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Any bucket: whoever made what hangs on it."),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the checks; look at nothing.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Say what a check is about; look at nothing."),
    ] = None,
    since: Annotated[str, typer.Option(help="How far back logs are read.")] = "1d",
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Find what is wrong with the live pipeline: wiring, permissions, limits, people, costs; say why and what mends it.

    Only reads. Exits 3 on findings. With `--bucket` it needs no pipeline.yaml: it follows the bucket's notifications
    to topics, queues, functions, tables and dead letters, whoever made them.
    """
    if listing:
        _list(json=json)
        return
    if explain:
        _explain(explain, json=json)
        return
    found = _examined(check or [], bucket, since, env, file)
    if json:
        render.print_json(found.as_json())
    else:
        from imgpipe.cli.views import words
        from imgpipe.cli.views.doctor import page

        words.put(*page(found, bucket or ""))
    for text in found.unread:
        render.err().print(f"[yellow]not looked at:[/] {render.safe(text)}")
    if found.findings:
        raise typer.Exit(errors.PENDING)


def _examined(check: list[str], bucket: str | None, since: str, env: str, file: Path) -> Report:
    from datetime import timedelta

    from imgpipe.operate.doctor import run
    from imgpipe.operate.times import duration

    run.chosen(check)
    back = timedelta(seconds=duration(since))
    if bucket:
        return run.bucket(_cloud(env, file), bucket, check, back)
    from imgpipe.operate import up
    from imgpipe.operate.project import open_project

    project = open_project(file, env)
    up.refuse_if_down(project)
    return run.project(project, check, back)


def _cloud(env: str, file: Path) -> Cloud:
    """Return the cloud that a bucket is in: the file's environment, the embedded one here, or AWS's own settings."""
    from imgpipe.deploy import spec
    from imgpipe.operate.project import connect

    folder = file.resolve().parent
    if env == cloud.LOCAL and (folder / cloud.LOCK_FILE).exists():
        return cloud.Cloud(cloud.local_target(folder))
    if env != cloud.LOCAL and file.exists():
        return connect(spec.load(file, env), folder, env)
    return cloud.Cloud(cloud.aws_target(env, None, None))


def _list(*, json: bool) -> None:
    from imgpipe.operate.doctor.registry import CHECKS

    if json:
        render.print_json([{"id": one.id, "about": one.about} for one in CHECKS])
        return
    from imgpipe.cli.views import words

    words.put(
        render.rows(
            words.table("check", "makes sure that"), [(one.id, one.about) for one in CHECKS]
        )
    )


def _explain(name: str, *, json: bool) -> None:
    from dataclasses import asdict

    from imgpipe.cli.views import doctor as view
    from imgpipe.cli.views import words
    from imgpipe.operate.doctor import run
    from imgpipe.operate.doctor.pages import PAGES

    [known] = run.chosen([name])
    if json:
        render.print_json({"id": known.id, "about": known.about, **asdict(PAGES[known.id])})
    else:
        words.put(*view.explained(known, PAGES[known.id]))
