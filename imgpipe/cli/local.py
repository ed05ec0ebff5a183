"""The embedded cloud's commands."""

from __future__ import annotations

from pathlib import Path

import typer


def ensure_started(folder: Path) -> None:
    from imgpipe.local import lifecycle

    lifecycle.ensure(folder)


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The embedded cloud on this machine.", no_args_is_help=True)
    app.add_typer(group, name="local")

    @group.command()
    def start() -> None:
        """Start it."""
        ensure_started(Path.cwd())

    @group.command()
    def stop() -> None:
        """Stop it; the data stays."""
        from imgpipe.local import lifecycle

        lifecycle.stop(Path.cwd())
