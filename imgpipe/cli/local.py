"""The embedded cloud's commands: start, stop, look at, point other tools at; and its mailbox."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any

import typer

from imgpipe.cli import options, render

if TYPE_CHECKING:
    from pathlib import Path

    from imgpipe.local.lifecycle import Running

NOT_RUNNING = "not running"


def ensure_started(folder: Path) -> None:
    """Start the embedded cloud of the project in `folder`, if need be, and say so on stderr."""
    from imgpipe.local import lifecycle

    _tell(lifecycle.ensure(folder))


def _tell(running: Running) -> None:
    if running.moved_from:
        render.err().print(
            f"Port {running.moved_from} is taken by another program: using {running.port}.",
            style="yellow",
        )
    said = "Started the embedded cloud" if running.started else "The embedded cloud is running"
    render.err().print(f"{said} on {running.endpoint}.")


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="The embedded cloud: AWS's services on this machine.", no_args_is_help=True
    )
    app.add_typer(group, name="local")
    group.command("start")(start)
    group.command("stop")(stop)
    group.command("status")(status)
    group.command("reset")(reset)
    group.command("env")(env)


def _folder(file: Path) -> Path:
    return file.resolve().parent


Port = typer.Option(None, "--port", min=1, max=65535, help="Listen on this port.")


def start(
    file: options.File = options.PIPELINE_FILE,
    port: int | None = Port,
    json: options.Json = False,
) -> None:
    """Start it, if it isn't running. Its data is in .imgpipe/, next to pipeline.yaml."""
    from imgpipe.local import lifecycle

    running = lifecycle.ensure(_folder(file), port)
    if json:
        render.print_json(_public(running))
    else:
        _tell(running)


def stop(file: options.File = options.PIPELINE_FILE, json: options.Json = False) -> None:
    """Stop it. The data stays."""
    from imgpipe.local import lifecycle

    stopped = lifecycle.stop(_folder(file))
    if json:
        render.print_json({"stopped": stopped})
    else:
        said = "Stopped the embedded cloud." if stopped else f"The embedded cloud is {NOT_RUNNING}."
        render.err().print(said)


def status(file: options.File = options.PIPELINE_FILE, json: options.Json = False) -> None:
    """Show where it listens, since when, and what it holds. Exits 3 when it isn't running."""
    from imgpipe import errors
    from imgpipe.local import lifecycle

    running = lifecycle.status(_folder(file))
    if running is None:
        if json:
            render.print_json({"running": False})
        else:
            render.out().print(NOT_RUNNING)
        raise typer.Exit(errors.PENDING)
    facts = _public(running)
    if json:
        render.print_json(facts)
        return
    table = render.table("what", "value")
    render.out().print(render.rows(table, [(name, value) for name, value in facts.items()]))


def _public(running: Running) -> dict[str, Any]:
    return {
        "running": True,
        "endpoint": running.endpoint,
        "region": running.region,
        "account": running.account,
        "pid": running.pid,
        "port": running.port,
        "uptime_s": round(time.time() - running.since, 1),
    }


def reset(file: options.File = options.PIPELINE_FILE, yes: options.Yes = False) -> None:
    """Stop it and delete everything in it: resources, objects, messages, mail."""
    from imgpipe.local import lifecycle

    folder = _folder(file)
    if not yes:
        typer.confirm(f"Delete everything in the embedded cloud of {folder}?", abort=True, err=True)
    lifecycle.reset(folder)
    render.err().print("The embedded cloud is empty.")


def env(file: options.File = options.PIPELINE_FILE, json: options.Json = False) -> None:
    """Print the variables that point AWS tools at it: eval "$(imgpipe local env)"."""
    from imgpipe.errors import UnreachableError
    from imgpipe.local import lifecycle

    running = lifecycle.status(_folder(file))
    if running is None:
        raise UnreachableError(
            "the embedded cloud", "it is not running", hint="imgpipe local start"
        )
    variables = {
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_ACCESS_KEY_ID": running.access_key,
        "AWS_SECRET_ACCESS_KEY": running.secret_key,
        "AWS_DEFAULT_REGION": running.region,
        "AWS_REGION": running.region,
    }
    if json:
        render.print_json(variables)
        return
    typer.echo("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
