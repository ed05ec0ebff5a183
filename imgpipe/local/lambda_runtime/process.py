"""The process of an execution environment: started with nothing of ours in sight, ended whole.

It sees the function's code, its layers, the SDK and the runtime client: a bare interpreter without
site-packages, and none of the server's environment variables.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.local.lambda_runtime.function import Function

HERE = Path(__file__).resolve().parent
KILLED_S = 5.0
PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_MIB = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")

RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""Variables that a function can't set for itself."""


KEEP_PAGES = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(16 << 20),
}
"""Have glibc keep the memory of one image for the next.

Getting it from the kernel anew each time took a quarter of an image function's processor time: 7,800
page faults for an image of 2 MP, against 400 with these.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What all environments of a server share. `client` is `awslambdaric`, or a script's path."""

    endpoint: str
    runtime: Path
    scratch: Path
    client: str


def client_here() -> str:
    """Return AWS's own runtime client where it is built for this platform, else ours."""
    import importlib.util

    native = all(importlib.util.find_spec(name) for name in ("awslambdaric", "runtime_client"))
    return "awslambdaric" if native else str(HERE / "portable.py")


def variables(
    function: Function,
    host: Host,
    *,
    runtime_api: str,
    log_stream: str,
    home: Path,
    credentials: dict[str, str],
) -> dict[str, str]:
    """Return all environment variables of the process: Lambda's own, and the function's."""
    own = {name: value for name, value in function.variables if name not in RESERVED}
    libraries = [path / "lib" for path in function.layers]
    return {
        "AWS_ENDPOINT_URL": host.endpoint,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": _paths(function.code, function.code / "lib", *libraries),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": _paths(function.code, *_layer_paths(function.layers), host.runtime),
        "TMPDIR": str(home),
        "TZ": ":UTC",
        **KEEP_PAGES,
        **own,
        **_log_settings(function),
        **credentials,
        "_HANDLER": function.handler,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_REGION": function.region,
        "LAMBDA_RUNTIME_DIR": str(host.runtime),
        "LAMBDA_TASK_ROOT": str(function.code),
    }


def _log_settings(function: Function) -> dict[str, str]:
    """Return what tells the runtime client to write JSON; nothing for text, as on AWS."""
    if function.log_format != "JSON":
        return {}
    level = {"AWS_LAMBDA_LOG_LEVEL": function.log_level} if function.log_level else {}
    return {"AWS_LAMBDA_LOG_FORMAT": "JSON", **level}


def _layer_paths(layers: tuple[Path, ...]) -> list[Path]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return [
        path
        for layer in layers
        for path in (layer / "python", layer / "python" / "lib" / version / "site-packages")
    ]


def _paths(*paths: Path) -> str:
    return os.pathsep.join(map(str, paths))


_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lambda-spawn")
"""One thread for the server's life: the kernel kills a child when the thread that made it ends."""


class Process:
    """A started process, the reading end of its output, and, on Linux, a descriptor of its end."""

    def __init__(self, function: Function, host: Host, environment: dict[str, str]) -> None:
        self.log, output = os.pipe()
        if sys.platform == "linux":
            import fcntl

            with contextlib.suppress(OSError):
                fcntl.fcntl(output, _F_SETPIPE_SZ, PIPE_BYTES)
        start = HERE / "start.py"
        command = [_interpreter(), "-S", "-P", str(start), str(os.getpid()), host.client]
        try:
            self._popen = _spawner.submit(
                subprocess.Popen,
                [*command, function.handler],
                cwd=function.code,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            ).result()
        except BaseException:
            os.close(self.log)
            raise
        finally:
            os.close(output)
        self.pid = self._popen.pid
        self._killed = False
        self.ending = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None

    def status(self) -> int | None:
        """Return how it ended, negative for a signal; None while it lives."""
        return self._popen.poll()

    def kill(self) -> None:
        """Kill it and every process that it started. Once: its number may be another's later."""
        if self._killed:
            return
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> int:
        """Kill it, wait for its end and return how it ended."""
        self.kill()
        return self._popen.wait(KILLED_S)

    def resident_mb(self) -> int:
        """Return the memory that it and its children hold now; 0 where the system doesn't say."""
        own, *children = _family(self.pid)
        return (_resident(own) + sum(_resident(pid) - _shared(pid) for pid in children)) // _MIB

    def peak_mb(self) -> int:
        """Return the most memory that it and its children ever held; 0 where the system doesn't say.

        As if all had done so at once, but the libraries that a child shares with it count once.
        """
        own, *children = _family(self.pid)
        peak_kb = _told_kb(own, b"VmHWM") + sum(
            max(0, _told_kb(pid, b"VmHWM") - _told_kb(pid, b"RssFile")) for pid in children
        )
        return peak_kb // 1024


def end_orphans(scratch: Path) -> None:
    """Kill what a killed server's functions had started and left behind, known by its TMPDIR.

    The functions' own processes ended with their server; this is about children of theirs.
    """
    mark = b"\0TMPDIR=" + os.fsencode(scratch) + b"/"
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in b"\0" + (place / "environ").read_bytes():
                os.kill(int(place.name), signal.SIGKILL)


def _resident(pid: int) -> int:
    return _pages(pid, 1) * _PAGE


def _shared(pid: int) -> int:
    """Return what of its memory are files, such as libraries, which its parent holds too."""
    return _pages(pid, 2) * _PAGE


def _pages(pid: int, column: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[column])
    return 0


def _told_kb(pid: int, name: bytes) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/status").read_bytes()
        return int(text.partition(name + b":")[2].split(None, 1)[0])
    return 0


def _family(pid: int) -> list[int]:
    family, unseen = [], [pid]
    while unseen:
        member = unseen.pop()
        family.append(member)
        with contextlib.suppress(OSError, ValueError):
            children = Path(f"/proc/{member}/task/{member}/children").read_bytes()
            unseen += map(int, children.split())
    return family


def _interpreter() -> str:
    """Return the interpreter behind the virtual environment: its site-packages aren't wanted."""
    return getattr(sys, "_base_executable", "") or sys.executable
