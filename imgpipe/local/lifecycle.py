"""Start and stop the embedded cloud."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any


def status(folder: Path) -> dict[str, Any] | None:
    try:
        lock: dict[str, Any] = json.loads((folder / ".imgpipe" / "cloud.json").read_text())
        with urllib.request.urlopen(lock["endpoint"] + "/_ministack/health", timeout=5):
            return lock
    except (OSError, ValueError):
        return None


def ensure(folder: Path) -> dict[str, Any]:
    running = status(folder)
    if running:
        return running
    data = folder / ".imgpipe"
    data.mkdir(exist_ok=True)
    (data / "cloud.json").unlink(missing_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (data / "cloud.log").open("ab") as log:
        subprocess.Popen([sys.executable, "-m", "imgpipe.local", str(folder), str(port)], stdout=log, stderr=log,
                         stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        running = status(folder)
        if running:
            return running
        time.sleep(0.05)
    raise RuntimeError("the embedded cloud did not start")


def stop(folder: Path) -> None:
    running = status(folder)
    if running:
        os.kill(running["pid"], signal.SIGTERM)
        (folder / ".imgpipe" / "cloud.json").unlink(missing_ok=True)
