"""Commands about the declaration: validate, schema, init. None of them calls a cloud."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe.cli import options, render
from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from imgpipe.deploy.problems import Problem
    from imgpipe.deploy.templates import Template

PANEL = "Declare"

Only = Annotated[
    str | None,
    typer.Option(
        "--env", "-e", help="Check this environment alone; otherwise every one that is declared."
    ),
]
Folder = Annotated[Path, typer.Argument(help="Where to write; the current folder if not given.")]
TemplateName = Annotated[str, typer.Option("--template", "-t", help="The pipeline to begin with.")]
Listing = Annotated[bool, typer.Option("--list", help="List the templates.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")]


def register(app: typer.Typer) -> None:
    for command in (init, validate, schema):
        app.command(rich_help_panel=PANEL)(command)


def validate(
    file: options.File = options.PIPELINE_FILE, env: Only = None, json: options.Json = False
) -> None:
    """Check pipeline.yaml: every problem with its line and column. Exits 2 if there is any."""
    checked, problems = _check(file, env)
    if json:
        render.print_json(_report(file, checked, problems))
        if problems:
            raise typer.Exit(UsageError.exit_code)
    elif problems:
        from imgpipe.deploy.problems import SpecError

        raise SpecError(file, problems)
    else:
        names = render.safe(", ".join(checked))
        render.out().print(f"{render.safe(file)} is valid for {names}", soft_wrap=True)


def _check(file: Path, env: str | None) -> tuple[list[str], list[Problem]]:
    """Return the environments that were checked, and every problem; what isn't YAML has no
    environments.
    """
    from imgpipe.deploy import environments, spec, yaml_source
    from imgpipe.deploy.problems import SpecError

    try:
        document = yaml_source.read(file)
    except SpecError as error:
        return [], list(error.problems)
    checked = [env] if env else environments.declared(document.data)
    return checked, sorted(
        {problem for name in checked for problem in spec.problems(document, name)}
    )


def _report(file: Path, checked: list[str], problems: list[Problem]) -> dict[str, object]:
    return {
        "file": str(file),
        "environments": checked,
        "valid": not problems,
        "problems": [
            {"line": mark.line, "column": mark.column, "message": message}
            for mark, message in problems
        ],
    }


def schema() -> None:
    """Print the JSON Schema of pipeline.yaml, for editors.

    Save it and name it in the first line of pipeline.yaml: `# yaml-language-server:
    $schema=schema.json`
    """
    from imgpipe.deploy import schema as pipeline_schema

    render.print_json(pipeline_schema.document())


def init(
    folder: Folder = Path(),
    template: TemplateName = "photo-studio",
    listing: Listing = False,
    force: Force = False,
    json: options.Json = False,
) -> None:
    """Write a pipeline.yaml and the Lambda sources (`lambdas/`) for you to change."""
    from imgpipe.deploy import templates

    if listing:
        _list(json=json)
        return
    chosen = templates.find(template)
    written = _write(chosen, folder, force=force)
    for path in written:
        render.err().print(f"wrote {render.safe(path)}", soft_wrap=True)
    if not written:
        render.err().print("everything is there already")
    if folder.resolve() != Path.cwd():
        render.err().print(
            f"next: [bold]cd {render.safe(shlex.quote(str(folder)))}[/bold]", soft_wrap=True
        )
    render.err().print("next: [bold]imgpipe up[/bold]")


def _list(*, json: bool) -> None:
    """Show each template with its line and the way that an upload takes."""
    from imgpipe.deploy import diagram, templates
    from imgpipe.operate.project import offline

    found = [
        (known, diagram.outline(offline(known.file, options.LOCAL))) for known in templates.every()
    ]
    if json:
        render.print_json(
            [
                {"name": known.name, "description": known.description, "diagram": drawn}
                for known, drawn in found
            ]
        )
        return
    out = render.out()
    for known, drawn in found:
        out.print(f"[bold]{render.safe(known.name)}[/bold]\n{render.safe(known.description)}")
        for line in drawn.splitlines():
            out.print(f"  [dim]{render.safe(line)}[/dim]", soft_wrap=True)
        out.print()
    render.err().print("next: [bold]imgpipe init --template NAME FOLDER[/bold]")


def _write(template: Template, folder: Path, *, force: bool) -> list[Path]:
    """Copy the template's files that are missing or differ. Raises UsageError rather than
    overwrite.
    """
    from imgpipe.deploy import spec, steps

    sources = steps.sources(spec.load(template.file, options.LOCAL))
    files = template.files(sources)
    pending = [(source.read_bytes(), folder / place) for source, place in files]
    changed = [(content, path) for content, path in pending if _content(path) != content]
    taken = [path for _, path in changed if path.exists()]
    if taken and not force:
        names = ", ".join(str(path) for path in taken[:3]) + (" …" if len(taken) > 3 else "")
        raise UsageError(
            str(folder.resolve()),
            f"{names} would be overwritten",
            hint="imgpipe init --force, or another folder",
        )
    for content, path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return [path for _, path in changed]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
