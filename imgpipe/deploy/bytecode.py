"""Python's own compiled form of a zip's sources, so that a cold start needn't compile them: it saves a third of the
processor time of an image function's start, as a function's disk can't be written to.

Compiled code is for one minor version, so it takes a Python of Lambda's: the running one, or `python3.13` on the PATH.
Where there is none the zip goes without, and works. The files are marked as unchecked (PEP 552): they hold no times,
which a zip rounds. A process of its own compiles, one file after the other, with fixed hashes: the same sources make
the same bytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.deploy.wheels import Files

COMPILE_S = 120
_COMPILE = """
import pathlib, py_compile, sys
for name in sorted(sys.stdin.read().splitlines()):
    py_compile.compile(
        name, dfile=name, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
"""


def files(sources: Files, python: str) -> Files:
    """Return the `.pyc` of every module in `sources` by its path in the zip, for a Python such as 3.13.

    Returns nothing where there is no such Python, or where it can't compile one of them.
    """
    found = compiler(python)
    names = sorted(name for name in sources if name.endswith(".py"))
    if not found or not names:
        return {}
    with tempfile.TemporaryDirectory(prefix="imgpipe-bytecode-") as made:
        folder = Path(made)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(sources[name])
        return _compiled(found, names, folder)


def _compiled(program: str, names: list[str], folder: Path) -> Files:
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        subprocess.run(
            [program, "-S", "-s", "-c", _COMPILE],
            input="\n".join(names),
            cwd=folder,
            env=env,
            text=True,
            capture_output=True,
            check=True,
            timeout=COMPILE_S,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {
        str(PurePosixPath(path.relative_to(folder))): path.read_bytes()
        for path in sorted(folder.rglob("__pycache__/*.pyc"))
    }


def compiler(python: str) -> str:
    """Return an interpreter of that minor version; "" if there is none."""
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{python}") or ""
    return found if found and _is_one(found, python) else ""


def _is_one(program: str, python: str) -> bool:
    """Say whether it really is: version managers leave a program of that name that only says that it isn't there."""
    said = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [program, "-S", "-c", said],
            capture_output=True,
            text=True,
            timeout=COMPILE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.strip() == python
