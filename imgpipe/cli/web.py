"""`web`: the console in the browser."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from imgpipe.cli import options, render

PANEL = "Watch and mend"
PORT = 8642


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(web)


def web(
    host: Annotated[
        str, typer.Option(help="The address to listen on; another than loopback needs a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="0 takes any that is free.")
    ] = PORT,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="The gallery alone, and nothing can be changed.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A host name under which others reach it, such as a proxy's."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="IMGPIPE_WEB_TOKEN", help="Ask for this token; made up where one is needed."
        ),
    ] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
) -> None:
    """Serve the console: a gallery to look at and a desk to work at, until Ctrl-C.

    It listens on this machine alone. Anyone who can reach another --host needs the token in the link that is printed.
    """
    from imgpipe.operate.project import open_project
    from imgpipe.web import serve

    project = open_project(file, env)
    wanted = serve.rules(project, host, read_only=read_only, names=name or (), token=token)
    listener = serve.listen(host, port)
    link = serve.link(serve.here(host), listener, wanted)

    def ready() -> None:
        typer.echo(link)
        err = render.err()
        if wanted.token:
            err.print(
                "[yellow]others can reach it:[/] who has this link, and nobody else, may use it"
            )
            if serve.here(host) != host:
                other = serve.link(socket.gethostname(), listener, wanted)
                err.print(f"from another machine: {render.safe(other)}", soft_wrap=True)
            err.print("plain HTTP: put a proxy with TLS before it where the network isn't yours")
        mode = "read-only, " if read_only else ""
        err.print(f"{render.safe(project.graph.pipeline)} in {render.safe(env)}: {mode}Ctrl-C ends")
        if open_:
            typer.launch(link)

    serve.run(project, listener, wanted, ready, lambda: open_project(file, env))
