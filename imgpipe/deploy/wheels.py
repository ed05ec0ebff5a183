"""The files of a function's third-party packages, for the machine that it will run on.

Two ways, same lock. For the embedded cloud the installed distributions are copied: offline, in
milliseconds, and of the host's own ABI by nature; should an installed version differ from the lock,
the right one is fetched. For AWS, pip fetches wheels for Lambda's Python and machine, each checked
against its hash. pip compares platform tags literally, so all that Lambda's Amazon Linux 2023 can
load are named. The user's pip configuration stays in force (a company's mirror): hashes make the
source of a wheel irrelevant.
"""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Literal

from imgpipe.deploy.lambda_lock import Pin, for_machine
from imgpipe.errors import ImgpipeError

Target = Literal["host", "x86_64", "arm64"]
LAMBDA_PYTHON = "3.13"
GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
_NOT_SHIPPED = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
"""Files of an installation that say when and how it was made:

two installations must make one zip.
"""
_NOT_NEEDED = (".pyc", ".pyi", "py.typed")

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Abi:
    """What compiled code must fit: `python` such as 3.13, `machine` as Linux names it."""

    python: str
    machine: str


def abi(target: Target) -> Abi:
    if target == "host":
        here = platform.machine().lower()
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return Abi(version, _MACHINES.get(here, here))
    return Abi(LAMBDA_PYTHON, _MACHINES.get(target, target))


def files(pins: tuple[Pin, ...], target: Target) -> Files:
    """Return the files of `pins` by their path in the zip.

    Raises ImgpipeError when they can't be had.
    """
    fitting = for_machine(pins, abi(target).machine)
    if not fitting:
        return {}
    if target == "host" and all(_installed(pin) for pin in fitting):
        return {name: data for pin in fitting for name, data in _copied(pin).items()}
    return fetch(fitting, abi(target))


def shipped(name: str) -> bool:
    """Say whether a file of a package goes into the zip."""
    path = PurePosixPath(name)
    if "__pycache__" in path.parts or ".." in path.parts or name.endswith(_NOT_NEEDED):
        return False
    described = path.parts[0].endswith(".dist-info")
    return not (described and (path.name in _NOT_SHIPPED or "sboms" in path.parts))


def _installed(pin: Pin) -> bool:
    try:
        found = metadata.distribution(pin.name)
    except metadata.PackageNotFoundError:
        return False
    return found.version == pin.version and bool(found.files)


def _copied(pin: Pin) -> Files:
    found = metadata.distribution(pin.name)
    listed = [path for path in found.files or () if shipped(path.as_posix())]
    return {path.as_posix(): Path(str(path.locate())).read_bytes() for path in listed}


def fetch(pins: Sequence[Pin], wanted: Abi) -> Files:
    """Fetch the wheels of `pins` with pip and return their files."""
    if importlib.util.find_spec("pip") is None:
        raise ImgpipeError(
            "packages for Lambda", "pip is not installed", hint="python -m ensurepip"
        )
    with tempfile.TemporaryDirectory(prefix="imgpipe-wheels-") as name:
        folder = Path(name)
        requirements, into = folder / "requirements.txt", folder / "files"
        requirements.write_text("".join(f"{pin.requirement()}\n" for pin in pins))
        _pip(arguments(requirements, into, wanted), pins)
        found = (path for path in into.rglob("*") if path.is_file())
        named = ((path.relative_to(into).as_posix(), path) for path in found)
        return {name: path.read_bytes() for name, path in named if shipped(name)}


def arguments(requirements: Path, into: Path, wanted: Abi) -> list[str]:
    platforms = [part for tag in GLIBC for part in ("--platform", f"{tag}_{wanted.machine}")]
    return [
        *("install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"),
        *("--no-deps", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", wanted.python, *platforms),
        *("--require-hashes", "--requirement", str(requirements), "--target", str(into)),
    ]


def _pip(arguments: Sequence[str], pins: Sequence[Pin]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        names = ", ".join(f"{pin.name} {pin.version}" for pin in pins)
        raise ImgpipeError(
            f"packages for Lambda ({names})",
            " ".join(said)[:600] or f"pip ended with {done.returncode}",
            hint="check the network and `python -m pip config list`, and run again",
        )
