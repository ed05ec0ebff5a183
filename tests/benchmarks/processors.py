"""Where the processor time goes: the embedded cloud's server, each function's environments, the command."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def by_part(server: int) -> Counter[str]:
    """Return the processor seconds so far of the server and of each function, by name (Linux only)."""
    used: Counter[str] = Counter()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                part = _part(process, server)
                if part:
                    used[part] += _seconds(process)
            except OSError:
                continue  # it ended while we looked
    return used


def _part(process: Path, server: int) -> str | None:
    if int(process.name) == server:
        return "server"
    variables = dict(
        entry.split(b"=", 1)
        for entry in (process / "environ").read_bytes().split(b"\0")
        if b"=" in entry
    )
    name = variables.get(b"AWS_LAMBDA_FUNCTION_NAME")
    if name is None or not _descends(process, server):
        return None
    return f"function {name.decode().rsplit('-', 1)[-1]}"


def _descends(process: Path, ancestor: int) -> bool:
    pid = int(process.name)
    while pid > 1:
        if pid == ancestor:
            return True
        pid = int((Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[1])
    return False


def _seconds(process: Path) -> float:
    fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
