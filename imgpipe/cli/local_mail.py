"""`imgpipe local mail`: the mail that the embedded cloud would have sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from imgpipe.cli import options, render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from imgpipe.local.lifecycle import Running
    from imgpipe.local.mailbox import Confirmation, Mail

Number = typer.Argument(metavar="N", help="The number in the list.")
Address = typer.Argument(None, metavar="ADDRESS", help="Only this address.")
All = typer.Option(False, "--all", help="Every address.")


def register(group: typer.Typer) -> None:
    letters = typer.Typer(help="The mail that it would have sent.", invoke_without_command=True)
    group.add_typer(letters, name="mail")
    letters.callback()(mail)
    letters.command()(show)
    letters.command()(confirm)


def running_cloud(folder: Path) -> Running:
    """Return the server of the project in `folder`. Raises UnreachableError when there is none."""
    from imgpipe.errors import UnreachableError
    from imgpipe.local import lifecycle

    running = lifecycle.status(folder)
    if running is None:
        raise UnreachableError(
            "the embedded cloud", "it is not running", hint="imgpipe local start"
        )
    return running


def mail(
    context: typer.Context,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """List the mail, the oldest first."""
    if context.invoked_subcommand:
        return
    from imgpipe.cli.views import words
    from imgpipe.local import mailbox

    letters = mailbox.all_mail(_folder(file))
    if json:
        render.print_json([_letter(letter) for letter in letters])
        return
    if not letters:
        render.err().print("No mail.")
        return
    words.put(listed(letters))


def listed(letters: Sequence[Mail]) -> Table:
    """Return the letters as a table."""
    table = render.table("n", "at", "to", "subject", right=["n"])
    for column in table.columns[:2]:
        column.no_wrap = True  # a number over two lines reads as two
    lines = [
        (letter.number, f"{letter.at.astimezone():%Y-%m-%d %H:%M:%S}", letter.to, letter.subject)
        for letter in letters
    ]
    return render.rows(table, lines)


def show(
    number: int = Number,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show one mail."""
    from imgpipe.local import mailbox

    letter = mailbox.mail(_folder(file), number)
    if json:
        render.print_json(_letter(letter) | {"text": letter.text})
        return
    for name, value in (
        ("From", letter.sender),
        ("To", letter.to),
        ("Date", f"{letter.at.astimezone():%Y-%m-%d %H:%M:%S %z}"),
        ("Subject", letter.subject),
    ):
        render.out().print(f"[bold]{name}:[/bold] {render.safe(value)}", soft_wrap=True)
    render.out().print()
    for line in letter.text.rstrip().splitlines():
        render.out().print(render.safe(line), soft_wrap=True)


def confirm(
    address: str | None = Address,
    every: bool = All,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Follow the confirmation links in the mail, as the people who got it would."""
    from imgpipe.cli.views import words
    from imgpipe.errors import FAILED, UsageError
    from imgpipe.local import mailbox

    if bool(address) == every:
        raise UsageError(
            "imgpipe local mail confirm",
            "name an address, or say --all",
            hint="imgpipe local mail confirm --all",
        )
    running = running_cloud(_folder(file))
    results = mailbox.confirm(_folder(file), running.endpoint, address)
    if json:
        render.print_json([_confirmation(each) for each in results])
    elif not results:
        render.err().print("No mail asks to confirm anything.")
    else:
        table = render.table("address", "topic", "result")
        lines = [(each.address, each.topic, each.error or "confirmed") for each in results]
        words.put(render.rows(table, lines))
    if any(each.error for each in results):
        raise typer.Exit(FAILED)


def _folder(file: Path) -> Path:
    return file.resolve().parent


def _letter(letter: Mail) -> dict[str, Any]:
    from imgpipe.operate.times import iso

    return {
        "number": letter.number,
        "at": iso(letter.at),
        "kind": letter.kind,
        "from": letter.sender,
        "to": letter.to,
        "subject": letter.subject,
        "link": letter.link,
    }


def _confirmation(each: Confirmation) -> dict[str, Any]:
    return {
        "address": each.address,
        "topic": each.topic,
        "confirmed": not each.error,
        "error": each.error or None,
    }
