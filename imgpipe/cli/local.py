"""The embedded cloud's commands: start, stop, look at, empty, point other tools at."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import typer

from imgpipe.cli import local_mail, options, render

if TYPE_CHECKING:
    from pathlib import Path

    from imgpipe.local.lifecycle import Running

WHAT = "The embedded cloud"
OLD_CLI = """\
# Version 1 of the AWS CLI ignores AWS_ENDPOINT_URL for SQS.
aws() { command aws ${AWS_ENDPOINT_URL:+"--endpoint-url=$AWS_ENDPOINT_URL"} "$@"; }"""
Port = typer.Option(None, "--port", min=1, max=65535, help="Listen on this port.")


def ensure_started(folder: Path) -> None:
    """Start the embedded cloud of the project in `folder`, if need be, and say so on stderr."""
    from imgpipe.local import lifecycle

    running = lifecycle.ensure(folder)
    if running.started:
        _tell(running)


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="The embedded cloud: AWS's services on this machine.", no_args_is_help=True
    )
    app.add_typer(group, name="local", rich_help_panel="On this machine")
    for command in (start, stop, status, reset, env):
        group.command()(command)
    local_mail.register(group)


def start(
    file: options.File = options.PIPELINE_FILE,
    port: int | None = Port,
    json: options.Json = False,
) -> None:
    """Start it, if it isn't running. Its data is in .imgpipe/, next to pipeline.yaml."""
    from imgpipe.local import lifecycle

    running = lifecycle.ensure(_folder(file), port)
    if json:
        render.print_json(_facts(running))
    else:
        _tell(running)


def stop(file: options.File = options.PIPELINE_FILE, json: options.Json = False) -> None:
    """Stop it. The data stays."""
    from imgpipe.local import lifecycle

    stopped = lifecycle.stop(_folder(file))
    if json:
        render.print_json({"stopped": stopped})
    else:
        render.err().print(f"Stopped {_lower(WHAT)}." if stopped else f"{WHAT} is not running.")


def status(file: options.File = options.PIPELINE_FILE, json: options.Json = False) -> None:
    """Show where it listens, since when, and what it holds. Exits 3 when it isn't running."""
    from imgpipe import errors
    from imgpipe.local import lifecycle

    running = lifecycle.status(_folder(file))
    if running is None:
        if json:
            render.print_json({"running": False})
        else:
            render.out().print(f"{WHAT} is not running.")
        raise typer.Exit(errors.PENDING)
    facts = _facts(running) | lifecycle.report(running)
    if json:
        render.print_json(facts)
    else:
        _show_status(facts)


def reset(
    file: options.File = options.PIPELINE_FILE,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Stop it and delete everything in it: resources, objects, messages, rows, mail."""
    from imgpipe.local import lifecycle

    folder = _folder(file)
    if not yes:
        question = f"Delete everything in the embedded cloud of {render.safe(folder)}?"
        typer.confirm(question, abort=True, err=True)
    lifecycle.reset(folder)
    if json:
        render.print_json({"reset": True})
    else:
        render.err().print(f"{WHAT} is stopped, and empty.")


def env(file: options.File = options.PIPELINE_FILE, json: options.Json = False) -> None:
    """Print the variables that point AWS tools at it: eval "$(imgpipe local env)"."""
    running = local_mail.running_cloud(_folder(file))
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
    if _aws_cli_is_old():
        typer.echo(OLD_CLI)


def _folder(file: Path) -> Path:
    return file.resolve().parent


def _running(file: Path) -> Running:
    from imgpipe.errors import UnreachableError
    from imgpipe.local import lifecycle

    running = lifecycle.status(_folder(file))
    if running is None:
        raise UnreachableError(
            "the embedded cloud", "it is not running", hint="imgpipe local start"
        )
    return running


def _tell(running: Running) -> None:
    if running.moved_from:
        render.err().print(
            f"Port {running.moved_from} is taken by another program: using {running.port}.",
            style="yellow",
        )
    did = f"Started {_lower(WHAT)}" if running.started else f"{WHAT} is running"
    render.err().print(f"{did} on {running.endpoint}")


def _aws_cli_is_old() -> bool:
    import subprocess

    try:
        said = subprocess.run(
            ["aws", "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "aws-cli/1." in said.stdout + said.stderr


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _facts(running: Running) -> dict[str, Any]:
    return {
        "running": True,
        "endpoint": running.endpoint,
        "region": running.region,
        "account": running.account,
        "pid": running.pid,
        "port": running.port,
    }


def _disk_free(facts: dict[str, Any]) -> str:
    """Return the free space; one that was started before an update of imgpipe doesn't tell."""
    free = facts.get("disk_free_bytes")
    return "not told" if free is None else render.size(free)


def _show_status(facts: dict[str, Any]) -> None:
    warm = facts["functions"]
    table = render.table("embedded cloud", "")
    lines = [
        ("endpoint", facts["endpoint"]),
        ("account, Region", f"{facts['account']}, {facts['region']}"),
        ("process", facts["pid"]),
        ("up for", render.age(facts["uptime_s"])),
        ("memory", render.size(facts["memory_bytes"])),
        ("data", render.size(facts["data_bytes"])),
        ("disk free", _disk_free(facts)),
        ("warm functions", ", ".join(f"{name} x{n}" for name, n in sorted(warm.items())) or "none"),
        (
            "invocations",
            f"{facts['invocations_running']} running, {facts['invocations_waiting']} waiting",
        ),
    ]
    render.out().print(render.rows(table, lines))
