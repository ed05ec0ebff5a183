"""Start, find, stop and reset a project's embedded cloud.

The server is a detached process that holds a lock as long as it lives; whoever starts or stops it
holds another. So two starts at once make one server, and what a killed server left is known for
what it is.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgpipe.errors import FullDiskError, ImgpipeError, UnreachableError
from imgpipe.local import disk, ports
from imgpipe.local import layout as places
from imgpipe.local.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_S = 60.0
STOP_S = 15.0
ANSWER_S = 10.0
LOOK_AGAIN_S = 0.02
LOG_MAX_BYTES = 5_000_000
WHAT = "the embedded cloud"
STATUS_PATH = "/_imgpipe/status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers.

    `started`: by this very call. `moved_from`: the port of last time, when that is taken now.
    """

    endpoint: str
    region: str
    account: str
    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(repr=False)
    pid: int
    port: int
    since: float
    started: bool = False
    moved_from: int | None = None


def status(folder: Path) -> Running | None:
    """Return the server of the project in `folder`, or None when it isn't running."""
    layout = Layout(folder)
    if not places.is_taken(layout.serving):
        return None
    return _announced(layout)


def ensure(folder: Path, port: int | None = None) -> Running:
    """Return the project's server; start it and wait until it answers, if there is none.

    Raises ImgpipeError when it doesn't start, with the last line of its log.
    """
    layout = Layout(folder)
    with _told_of_a_full_disk(layout):
        layout.make()
        return _ensure(layout, port)


def _ensure(layout: Layout, port: int | None) -> Running:
    with places.alone(layout.starting):
        running = _settled(layout)
        if running is None:
            return _start(layout, port)
        if port and running.port != port:
            raise ImgpipeError(
                WHAT,
                f"it is running already, on port {running.port}",
                hint="imgpipe local stop, then start it again",
            )
        return running


@contextlib.contextmanager
def _told_of_a_full_disk(layout: Layout) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if full := _full_disk(layout, os.strerror(error.errno or 0)):
            raise full from error
        raise


def _full_disk(layout: Layout, said: str) -> FullDiskError | None:
    """Return the error for a disk that takes no more, if that is what a writer was told, or what can be seen."""
    there = layout.data if layout.data.is_dir() else layout.project.resolve()
    why = disk.trouble(there, said)
    return FullDiskError(WHAT, why, hint=disk.HINT) if why else None


def stop(folder: Path) -> bool:
    """Stop the project's server; return whether there was one. The data stays."""
    layout = Layout(folder)
    if not layout.data.is_dir():
        return False
    with places.alone(layout.starting):
        return _stop(layout)


def reset(folder: Path) -> None:
    """Stop the server and delete everything in its cloud. Its keys and its port stay."""
    layout = Layout(folder)
    if not layout.data.is_dir():
        return
    with places.alone(layout.starting):
        _stop(layout)
        for path in (layout.state, layout.mail, layout.run):
            if path.exists():
                shutil.rmtree(path)
        layout.log.unlink(missing_ok=True)


def report(running: Running, patience_s: float = ANSWER_S) -> dict[str, Any]:
    """Return what the server says about itself. Raises UnreachableError when it says nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=patience_s)
    try:
        with contextlib.closing(connection):
            connection.request("GET", STATUS_PATH, headers={"X-Imgpipe-Token": running.token})
            return dict(json.load(connection.getresponse()))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(
            WHAT,
            f"process {running.pid} holds the port but doesn't answer ({error})",
            hint="imgpipe local stop",
        ) from error


def last_line(path: Path) -> str:
    """Return the last line of a log that says something; "" when there is none."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _announced(layout: Layout) -> Running | None:
    said = places.read_json(layout.announcement)
    try:
        return Running(since=said.pop("started"), **said)
    except (AttributeError, KeyError, TypeError):
        return None


def _answers(running: Running) -> bool:
    """Return whether the server answers. A killed one holds its lock a moment longer than it lives."""
    try:
        report(running)
    except UnreachableError:
        return False
    return True


def _settled(layout: Layout) -> Running | None:
    """Return the server, if there is one, and wait for one that is just starting or stopping."""
    deadline = time.monotonic() + START_S
    while places.is_taken(layout.serving):
        running = _announced(layout)
        if running and _answers(running):
            return running
        if time.monotonic() > deadline:
            raise ImgpipeError(
                WHAT,
                f"process {_holder(layout)} doesn't get ready: {last_line(layout.log)}",
                hint="imgpipe local stop",
            )
        time.sleep(LOOK_AGAIN_S)
    layout.announcement.unlink(missing_ok=True)
    return None


def _start(layout: Layout, port: int | None) -> Running:
    before = ports.last(layout)
    if layout.log.exists() and layout.log.stat().st_size > LOG_MAX_BYTES:
        layout.log.replace(layout.log.with_suffix(".log.1"))
    log_start = layout.log.stat().st_size if layout.log.exists() else 0
    ready, ready_end = os.pipe()
    with layout.log.open("ab") as log, os.fdopen(ready, "rb", buffering=0) as answer:
        try:
            process = subprocess.Popen(
                _command(layout, port, ready_end),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=layout.data,
                pass_fds=[ready_end],
                start_new_session=True,
            )
        finally:
            os.close(ready_end)
        # The server closes its end when it answers, the kernel does when it dies.
        closed, _, _ = select.select([answer], [], [], START_S)
    running = _announced(layout) if closed else None
    if running is None:
        raise _failure(layout, process, log_start)
    _leave(process)
    moved = before if before and before != running.port and not port else None
    return Running(**{**_fields(running), "started": True, "moved_from": moved})


def _command(layout: Layout, port: int | None, ready_fd: int) -> list[str]:
    # -P: a module in the project's folder must not stand in for one of ours.
    command = [sys.executable, "-P", "-m", "imgpipe.local", str(layout.project.resolve())]
    if port:
        command += ["--port", str(port)]
    return [*command, "--ready-fd", str(ready_fd)]


def _fields(running: Running) -> dict[str, Any]:
    return {name: getattr(running, name) for name in Running.__dataclass_fields__}


def _leave(process: subprocess.Popen[bytes]) -> None:
    """It outlives us on purpose: don't let `Popen` warn that it still runs."""
    process.returncode = 0


def _failure(layout: Layout, process: subprocess.Popen[bytes], log_start: int) -> ImgpipeError:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
    with layout.log.open("rb") as log:
        log.seek(log_start)
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    if full := _full_disk(layout, "\n".join(lines)):
        return full
    why = lines[-1].strip().removeprefix("error: ") if lines else f"exit code {process.returncode}"
    return ImgpipeError(f"{WHAT} did not start", why, hint=f"see {layout.log}")


def _holder(layout: Layout) -> int | None:
    """Return the process id that the holder of the lock wrote into it."""
    try:
        return int(layout.serving.read_text())
    except (OSError, ValueError):
        return None


def _stop(layout: Layout) -> bool:
    if not places.is_taken(layout.serving):
        layout.announcement.unlink(missing_ok=True)
        return False
    pid = _holder(layout)
    if pid is None:
        raise ImgpipeError(
            WHAT, "it is running, but its process is not known", hint=str(layout.serving)
        )
    for number, patience in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if _gone(layout, patience):
            layout.announcement.unlink(missing_ok=True)
            return True
    raise ImgpipeError(WHAT, f"process {pid} does not end", hint=f"kill -9 {pid}")


def _gone(layout: Layout, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while places.is_taken(layout.serving):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_AGAIN_S)
    return True
