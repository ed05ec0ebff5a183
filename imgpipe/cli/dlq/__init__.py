"""`dlq list|groups|show|redrive|purge|rescue`: what failed for good, why, and the way back."""

from __future__ import annotations

import typer

from imgpipe.cli.dlq import keep, look, redrive


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    group.command("list")(look.list_letters)
    group.command("groups")(look.groups)
    group.command("show")(look.show)
    group.command("redrive")(redrive.redrive)
    group.command("purge")(keep.purge)
    group.command("rescue")(keep.rescue)
    app.add_typer(
        group,
        name="dlq",
        help="Dead letters: what failed for good, why, and the way back.",
        rich_help_panel="Watch and mend",
    )
