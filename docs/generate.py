"""Write the generated parts of the documentation: `python docs/generate.py`. A test fails when they are out of date.

docs/commands.md    every command and option, from the command line itself
docs/pipeline.svg   the default pipeline, drawn from its graph
docs/schema.json    the JSON Schema of pipeline.yaml, for editors
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ACCOUNT, REGION = "123456789012", "eu-west-1"


def documents() -> Iterator[tuple[Path, str]]:
    """Yield each generated file with what should be in it."""
    yield HERE / "commands.md", commands()
    yield HERE / "pipeline.svg", picture()
    yield HERE / "schema.json", schema()


def commands() -> str:
    from typer.cli import get_docs_for_click

    from imgpipe.cli.main import build_app

    command = typer.main.get_command(build_app())
    with typer.Context(command, info_name="imgpipe") as context:  # type: ignore[attr-defined]
        text = get_docs_for_click(obj=command, ctx=context, name="imgpipe")
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


def picture() -> str:
    from imgpipe.deploy import diagram, graph, package, spec

    declared = spec.load(ROOT / "pipeline.yaml", "local")
    hashes = package.code_hashes(declared, ROOT)
    return diagram.svg(
        graph.build(declared, "local", account=ACCOUNT, region=REGION, code_hashes=hashes)
    )


def schema() -> str:
    from imgpipe.deploy import schema as pipeline_schema

    return json.dumps(pipeline_schema.document(), indent=2) + "\n"


def main() -> None:
    for path, text in documents():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
