"""What a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

PACKAGES = ("boto3", "cykooz.resizer", "isal", "ministack", "moto", "pillow", "pydantic", "typer")


def describe() -> dict[str, object]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def line(about: dict[str, object]) -> str:
    """Return in a line when and on what, and how busy the machine was before it began."""
    return (
        f"{about['date']}, commit {about['commit']}: {about['cores']} cores of "
        f"{about['cpu'] or 'a server'}, {about['memory_gb']} GB, {about['system']}, "
        f"Python {about['python']}; load before: {about['load_1min']} (1 min)"
    )


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
