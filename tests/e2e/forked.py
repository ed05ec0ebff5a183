"""imgpipe's command line without the half second in which Python imports it: each command is a process of its own all
the same, forked from one that has imported everything and run nothing.

    python -m tests.e2e.forked CONTROL_FD

That process is single-threaded, holds no state of a project, and ends with the one that started it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("imgpipe.cli", "imgpipe.operate", "imgpipe.deploy", "imgpipe.cloud")
LIBRARIES = ("boto3", "botocore.crt", "s3transfer.manager", "PIL.Image", "rich.progress")
MOST_BYTES = 150_000
POSSIBLE = hasattr(os, "pidfd_open")
"""Linux. Elsewhere commands start as ever."""


class Starter:
    """Starts commands, for one process: tests, or one of pytest-xdist's workers."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._lock = threading.Lock()

    def run(
        self, args: Sequence[str], folder: Path, env: Mapping[str, str], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `imgpipe ARGS`, as subprocess.run does that captures text."""
        request = json.dumps({"args": [*args], "folder": str(folder), "env": {**env}}).encode()
        assert len(request) < MOST_BYTES
        told, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with (
            told,
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
            Path(os.devnull).open() as nothing,
        ):
            with end:
                files: list[Any] = [nothing, out, err, end]
                socket.send_fds(self._started(), [request], [it.fileno() for it in files])
            code = _code(told, args, timeout_s)
            said = [_all(file) for file in (out, err)]
        return subprocess.CompletedProcess(args, code, *said)

    def _started(self) -> socket.socket:
        with self._lock:
            if self._control is None:
                self._control = _start()
            return self._control


def _start() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=Path(__file__).resolve().parents[2],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    atexit.register(_end, ours, process)
    return ours


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    process.wait(60)


def _code(told: socket.socket, args: Sequence[str], timeout_s: float) -> int:
    """Return the exit code, negative for a signal. Raises TimeoutExpired, as subprocess does, and kills then."""
    told.settimeout(60)
    pid = int(told.recv(32))
    told.settimeout(timeout_s)
    try:
        return int(told.recv(32))
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        raise subprocess.TimeoutExpired([*args], timeout_s) from None


def _all(file: Any) -> str:
    file.seek(0)
    return str(file.read())


# The process that commands are forked from


def serve(control: socket.socket) -> list[str] | None:
    """Start a process for each request. Returns its words in each of these processes, and None when tests end."""
    watched = selectors.DefaultSelector()
    watched.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in watched.select():
            if key.data:
                watched.unregister(key.fileobj)
                _tell(key.fd, *key.data)
                continue
            request, files, _, _ = socket.recv_fds(control, MOST_BYTES, 4)
            if not request:
                return None
            if (pid := os.fork()) == 0:
                _forget(watched)
                return _become(json.loads(request), files)
            watched.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, _begun(pid, files)))


def _begun(pid: int, files: list[int]) -> socket.socket:
    """Leave the files to the new process, say which it is, and return whom to tell of its end."""
    *others, last = files
    for number in others:
        os.close(number)
    end = socket.socket(fileno=last)
    end.send(str(pid).encode())
    return end


def _tell(ending: int, pid: int, end: socket.socket) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(ending)
    with end, contextlib.suppress(OSError):  # nobody waits any longer
        end.send(str(code).encode())


def _forget(watched: selectors.BaseSelector) -> None:
    """Hold nothing that other commands, or the tests, wait for the end of."""
    for key in list((watched.get_map() or {}).values()):
        if key.data:
            os.close(key.fd)
            key.data[1].close()
        elif isinstance(key.fileobj, socket.socket):
            key.fileobj.close()
    watched.close()


def _become(request: dict[str, Any], files: list[int]) -> list[str]:
    """Make this process what a new one in that folder would be."""
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.path[0] = request["folder"]  # as `python -m` does
    words: list[str] = request["args"]
    return words


def prepare() -> None:
    """Import what commands import."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for package in map(importlib.import_module, PACKAGES):
        for found in pkgutil.walk_packages(
            getattr(package, "__path__", []), f"{package.__name__}."
        ):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    gc.freeze()


def main() -> None:
    from imgpipe.cli import main as command

    prepare()
    words = serve(socket.socket(fileno=int(sys.argv[1])))
    if words is not None:
        sys.argv = [str(Path(command.__file__).parents[1] / "__main__.py"), *words]
        command.main()


if __name__ == "__main__":
    main()
