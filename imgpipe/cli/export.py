"""`export`: the pipeline as a drawing, and in the languages of other tools. None of them changes anything."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from imgpipe.cli import options, render

PANEL = "Declare"


class Format(StrEnum):
    text = "text"
    mermaid = "mermaid"
    svg = "svg"


Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write to this file in place of stdout.", dir_okay=False),
]
As = Annotated[Format, typer.Option("--format", help="How to draw it.")]


def register(app: typer.Typer) -> None:
    export = typer.Typer(help="Write the pipeline in another form.", no_args_is_help=True)
    for command in (graph, cloudformation, terraform, ci):
        export.command()(command)
    app.add_typer(export, name="export", rich_help_panel=PANEL)


def graph(
    file: options.File = options.PIPELINE_FILE,
    env: options.Env = options.LOCAL,
    how: As = Format.text,
    out: Out = None,
) -> None:
    """Draw the pipeline: as text, as Mermaid (GitHub shows it) or as an SVG picture."""
    from imgpipe.deploy.diagram import mermaid, svg, text
    from imgpipe.operate.project import offline

    draw = {Format.text: text, Format.mermaid: mermaid, Format.svg: svg}[how]
    _write(draw(offline(file, env)), out)


def cloudformation(
    file: options.File = options.PIPELINE_FILE,
    env: options.Env = options.LOCAL,
    out: Out = None,
) -> None:
    """Write the pipeline as one CloudFormation template, for any account and Region.

    Its parameters CodeBucket and CodeVersion say where the functions' code is: `imgpipe package --to
    s3://BUCKET/PREFIX` puts it there and prints them.
    """
    from imgpipe.deploy.export import cloudformation as form
    from imgpipe.deploy.export import symbolic

    source = symbolic.read(file, env, account=form.ACCOUNT, region=form.REGION)
    made = form.text(source.graph, source.code_version)
    _write(made, out)
    if len(made.encode()) > form.INLINE_BYTES:
        render.err().print(
            f"{render.size(len(made.encode()))}: aws cloudformation deploy --s3-bucket BUCKET takes it; "
            "given inline, CloudFormation takes 51.2 kB",
            soft_wrap=True,
        )


def terraform(
    existing: Annotated[
        bool, typer.Option("--import", help="Ask the cloud, and import what is up already.")
    ] = False,
    file: options.File = options.PIPELINE_FILE,
    env: options.Env = options.LOCAL,
    out: Out = None,
) -> None:
    """Write the pipeline for Terraform, in its JSON syntax: save it as NAME.tf.json.

    Its variables code_bucket and code_version say where the functions' code is: `imgpipe package --to
    s3://BUCKET/PREFIX` puts it there.
    """
    from imgpipe.deploy.export import symbolic
    from imgpipe.deploy.export import terraform as form

    if not existing:
        source = symbolic.read(file, env, account=form.ACCOUNT, region=form.REGION)
        _write(form.text(source.graph, source.code_version), out)
        return
    from imgpipe.operate.existing import existing as ask
    from imgpipe.operate.project import open_project

    project = open_project(file, env)
    place = project.graph.place
    source = symbolic.read(file, env, account=place.account, region=place.region)
    found = ask(project)
    _write(form.text(source.graph, source.code_version, found), out)
    render.err().print(f"{len(found.keys)} of {len(project.graph.resources)} resources are up")


class Service(StrEnum):
    azure = "azure"
    github = "github"


def ci(
    service: Annotated[
        Service, typer.Option("--for", help="Whose pipeline to write.", show_default=False)
    ],
    file: options.File = options.PIPELINE_FILE,
    env: options.Env = options.LOCAL,
    out: Out = None,
) -> None:
    """Write a CI pipeline that tests, plans as a comment on the change, packages and deploys, with a way back.

    Its first lines say where to save it and what it needs.
    """
    from imgpipe.deploy import spec
    from imgpipe.deploy.export import ci as pipelines

    _write(pipelines.text(spec.load(file, env), env, pipelines.Service(service)), out)


def _write(made: str, out: Path | None) -> None:
    if out is None:
        typer.echo(made, nl=False)
        return
    out.write_text(made, encoding="utf-8")
    render.err().print(f"wrote {render.safe(out)}", soft_wrap=True)
