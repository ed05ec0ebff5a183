"""Options that many commands share, so that they are spelled and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Env = Annotated[
    str,
    typer.Option(
        "--env",
        "-e",
        envvar="IMGPIPE_ENV",
        help="The environment in pipeline.yaml; `local` is this machine.",
    ),
]
File = Annotated[
    Path,
    typer.Option(
        "--file", "-f", envvar="IMGPIPE_FILE", help="The pipeline's file.", readable=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]

LOCAL = "local"
PIPELINE_FILE = Path("pipeline.yaml")
