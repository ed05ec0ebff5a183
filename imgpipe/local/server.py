"""The server process of the embedded cloud: ministack with our corrections, on a port of loopback.

It serves on a socket of its own and not through ministack's `main`, which would bind by itself
(and lose the port to another between the check and the bind) and would answer a signal with an
exit in the middle of a write.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe.errors import ImgpipeError
from imgpipe.local import keys, ports
from imgpipe.local.layout import Layout, is_same, take, write_whole

MINISTACK = "1.5.33"
"""The version that the corrections were made for and are tested with."""

LOCK_PATIENCE_S = 2.0

if TYPE_CHECKING:
    from imgpipe.local.lambda_runtime.install import Runtime

App = Callable[..., Awaitable[None]]
Message = MutableMapping[str, Any]

log = logging.getLogger("imgpipe")


def serve(project: Path, wanted_port: int | None = None, ready_fd: int | None = None) -> None:
    """Serve the project until SIGTERM or SIGINT.

    `ready_fd` is closed when the server answers. Raises ImgpipeError when it can't start.
    """
    layout = Layout(project)
    layout.make()
    lock = take(layout.serving, LOCK_PATIENCE_S)
    if lock is None:
        raise ImgpipeError("the embedded cloud", f"another one serves {project} already")
    with lock, ports.listen(layout, wanted_port) as listener:
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        port = listener.getsockname()[1]
        own = keys.of_project(layout)
        _prepare(layout, port, own)
        _raise_open_files()
        app, functions = _assemble(layout, port, own, ready_fd)
        from imgpipe.local import serving

        try:
            serving.run(
                app,
                listener,
                # Who deletes the project's folder doesn't want its server either.
                before_stop=functions.pool.close,
                is_wanted=lambda: is_same(lock, layout.serving),
            )
        finally:
            functions.pool.close()
            layout.announcement.unlink(missing_ok=True)


def _prepare(layout: Layout, port: int, own: keys.Keys) -> None:
    """Set what ministack reads from the environment when it is imported."""
    found = importlib.metadata.version("ministack")
    if found != MINISTACK:
        raise ImgpipeError(
            "ministack",
            f"version {found} is installed, the embedded cloud needs {MINISTACK}",
            hint=f"pip install ministack=={MINISTACK}",
        )
    layout.state.mkdir(exist_ok=True)
    _forget_the_caller()
    own.to_environment()
    os.environ.update(
        GATEWAY_PORT=str(port),
        BIND_HOST=ports.LOOPBACK,
        MINISTACK_HOST=ports.LOOPBACK,
        MINISTACK_ACCOUNT_ID=keys.ACCOUNT,
        MINISTACK_REGION=keys.REGION,
        AUTH="true",
        PERSIST_STATE="1",
        S3_PERSIST="0",
        STATE_DIR=str(layout.state),
        IMGPIPE_MAIL_DIR=str(layout.mail),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LAMBDA_ACCOUNT_CONCURRENCY="1000",
        DOCKER_HOST="unix:///dev/null/none",
        LOG_LEVEL=os.environ.get("IMGPIPE_CLOUD_LOG", "WARNING"),
    )


def _forget_the_caller() -> None:
    """The server must not act on AWS or ministack settings of the shell that started it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MINISTACK_", "LOCALSTACK_", "LAMBDA_")) or name == "SERVICES":
            del os.environ[name]


def _assemble(
    layout: Layout, port: int, own: keys.Keys, ready_fd: int | None
) -> tuple[App, Runtime]:
    from ministack import app

    from imgpipe.local import anonymous, corrections, guard, principals, report
    from imgpipe.local.lambda_runtime import install

    endpoint = f"http://{ports.LOOPBACK}:{port}"
    keys.install(own)
    functions = install.install(layout.run, endpoint, own.secret_key)
    corrections.install_all()
    anonymous.install()
    principals.install()
    guard.sign_downloads(own)
    announcement = {
        "endpoint": endpoint,
        "region": keys.REGION,
        "account": keys.ACCOUNT,
        "access_key": own.access_key,
        "secret_key": own.secret_key,
        "token": own.token,
        "pid": os.getpid(),
        "port": port,
        "started": time.time(),
    }

    def announce() -> None:
        write_whole(layout.announcement, announcement)
        if ready_fd is not None:
            os.close(ready_fd)

    guarded = guard.Guard(app.app, own, report.reporter(layout, functions))
    return _announcing(guarded, announce), functions


def _announcing(inner: App, announce: Callable[[], None]) -> App:
    """Call `announce` when the state is restored; connections already queue on the socket."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        async def started(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                announce()

        await inner(scope, receive, started if scope["type"] == "lifespan" else send)

    return app


def _raise_open_files() -> None:
    """A burst of connections must not meet the soft limit of 1,024 files."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str]) -> int:
    """Serve FOLDER [--port N] [--ready-fd N]; the exit code says whether it ended well."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m imgpipe.local", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--ready-fd", type=int)
    options = parser.parse_args(arguments)
    try:
        serve(options.folder, options.port, options.ready_fd)
    except ImgpipeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0
