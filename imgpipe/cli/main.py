"""The `imgpipe` command: gathers the groups of commands and turns errors into `what: why`, a hint and an exit code."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Sequence

import typer
from typer._click import exceptions as usage
from typer.main import get_command_name
from typer.models import CommandInfo

from imgpipe import __version__, errors

GROUPS = (
    "provision",
    "versions",
    "declare",
    "export",
    "images",
    "work",
    "observe",
    "examine",
    "backfill",
    "doctor",
    "look",
    "web",
    "dlq",
    "build",
    "forecast",
    "load",
    "local",
)
"""Modules of this package, in the order that `imgpipe --help` lists their commands."""


def build_app() -> typer.Typer:
    app = typer.Typer(
        name="imgpipe",
        help="Put up, use, watch, mend and take down an event-driven image pipeline, on AWS or on this machine.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def root(
        version: bool = typer.Option(
            False, "--version", help="Print the version and exit.", is_eager=True
        ),
    ) -> None:
        if version:
            typer.echo(f"imgpipe {__version__}")
            raise typer.Exit

    for group in GROUPS:
        importlib.import_module(f"imgpipe.cli.{group}").register(app)
    _unwrap(app)
    return app


def _unwrap(app: typer.Typer) -> None:
    """Let a terminal wrap each paragraph of a command's help: typer keeps the line breaks of the source."""
    for command in app.registered_commands:
        paragraphs = inspect.cleandoc(command.help or command.callback.__doc__ or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for group in app.registered_groups:
        if group.typer_instance:
            _unwrap(group.typer_instance)


def narrowed(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Leave out of `app` what a call with these words doesn't need: typer reads the signature of every command that
    there is, which takes longer than all the rest of `imgpipe --help`.
    """
    if set(words) <= {"--help", "-h"}:
        for command in app.registered_commands:
            command.name, command.callback = _name(command), _only_listed
        for group in app.registered_groups:
            if group.typer_instance:
                group.typer_instance.registered_commands = []
                group.typer_instance.registered_groups = []
    elif words[0] in {*map(_name, app.registered_commands), *_groups(app)}:
        app.registered_commands = [it for it in app.registered_commands if _name(it) == words[0]]
        app.registered_groups = [it for it in app.registered_groups if it.name == words[0]]
    return app


def _only_listed() -> None:
    """Stand in for a command of which a list shows no more than its name and its help."""


def _name(command: CommandInfo) -> str:
    return command.name or get_command_name(getattr(command.callback, "__name__", ""))


def _groups(app: typer.Typer) -> list[str]:
    return [str(group.name) for group in app.registered_groups]


def main() -> None:
    """Run the command line. Never lets a traceback reach a person, unless IMGPIPE_DEBUG is set."""
    try:
        completing = "_IMGPIPE_COMPLETE" in os.environ
        app = build_app() if completing else narrowed(build_app(), sys.argv[1:])
        code = app(standalone_mode=False, prog_name="imgpipe")
    except usage.NoArgsIsHelpError as error:
        error.show()
        sys.exit(errors.USAGE)
    except usage.ClickException as error:
        sys.exit(report(_misused(error)))
    except (KeyboardInterrupt, typer.Abort) as error:
        sys.exit(_stopped(error))
    except BrokenPipeError:
        # The reader (`head`, `less`) went away: not an error. Python must not complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(errors.DONE)
    except Exception as error:
        if os.environ.get("IMGPIPE_DEBUG"):
            raise
        sys.exit(report(error))
    sys.exit(code if isinstance(code, int) else errors.DONE)


def report(error: Exception) -> int:
    """Print `what: why` and the hint to stderr; return the exit code."""
    known = error if isinstance(error, errors.ImgpipeError) else _translate(error)
    typer.secho(f"error: {_shown(str(known))}", fg="red", err=True)
    if known.hint:
        from imgpipe.cli import hints

        typer.secho(f"hint:  {_shown(hints.here(known.hint))}", fg="cyan", err=True)
    return known.exit_code


def _shown(text: str) -> str:
    """Return `text` with what can't be printed made visible: errors quote keys, and answers from anywhere.

    Lines of our own go on below `error: `; any other break of a line is a stranger's.
    """
    return errors.NEXT_LINE.join(map(errors.printable, text.split(errors.NEXT_LINE)))


def _stopped(error: BaseException) -> int:
    """Tell Ctrl-C from a question that was answered with no, or not at all."""
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        typer.secho(
            "\ninterrupted: run it again, it goes on where it stopped", fg="yellow", err=True
        )
        return errors.INTERRUPTED
    typer.secho("\nnot confirmed: nothing was done", fg="yellow", err=True)
    return errors.FAILED


def _misused(error: usage.ClickException) -> errors.UsageError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "imgpipe"
    return errors.UsageError(command, error.format_message(), hint=f"{command} --help")


def _translate(error: Exception) -> errors.ImgpipeError:
    if type(error).__module__.startswith(("botocore", "boto3", "s3transfer")):
        from imgpipe.cloud import explain

        return explain(error, "the cloud")
    if isinstance(error, OSError) and error.filename:
        return errors.ImgpipeError(str(error.filename), error.strerror or str(error))
    if isinstance(error, OSError):
        return errors.ImgpipeError("the system", str(error))
    return errors.ImgpipeError(
        f"a fault in imgpipe ({type(error).__name__})",
        str(error),
        hint="run again with IMGPIPE_DEBUG=1 and report it",
    )
