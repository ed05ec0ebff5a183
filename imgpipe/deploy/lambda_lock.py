"""Which third-party packages a Lambda function carries: names from its folder, versions and hashes
from a lock.

A function's folder may hold a `requirements.txt`. A bare name in it (`pillow`) means the version in
imgpipe's own lock, `requirements-lambda.txt`, which travels in the wheel; so writer, tidy and
notifier, which have no such file, carry no image libraries. A folder of a user's own may name other
packages, pinned and with hashes, as pip itself wants them:

    pillow
    blurhash==1.1.4 --hash=sha256:…

The lock is made by `uv pip compile --universal --generate-hashes` and names no index. boto3 isn't
in it: Lambda brings its own, and so does the embedded cloud.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from imgpipe.errors import UsageError

LOCK = Path(__file__).with_name("requirements-lambda.txt")
REQUIREMENTS = "requirements.txt"
_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*==\s*(?P<version>[^\s;]+)"
    r"(\s*;\s*platform_machine\s*==\s*['\"](?P<machine>\w+)['\"])?(?P<hashes>(\s+--hash=\S+)+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A package at one version, for every machine or for one (`x86_64`, `aarch64`)."""

    name: str  # normalised: lower case, with `-`
    version: str
    machine: str | None
    hashes: tuple[str, ...]

    def requirement(self) -> str:
        """Return the line that pip takes.

        The machine is left out: pip would compare it with the one it runs on.
        """
        return " ".join((f"{self.name}=={self.version}", *self.hashes))


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def lock() -> dict[str, Pin]:
    """Return imgpipe's own pins by name."""
    return {pin.name: pin for pin in map(_pin, _lines(LOCK.read_text()))}


def pins(source: Path) -> tuple[Pin, ...]:
    """Return what the function in the folder `source` carries, sorted.

    Raises UsageError for what isn't pinned.
    """
    file = source / REQUIREMENTS
    if not file.is_file():
        return ()
    return tuple(sorted((_chosen(line, file) for line in _lines(file.read_text())), key=_by_name))


def for_machine(chosen: tuple[Pin, ...], machine: str) -> tuple[Pin, ...]:
    return tuple(pin for pin in chosen if pin.machine in (None, machine))


def _by_name(pin: Pin) -> str:
    return pin.name


def _chosen(line: str, file: Path) -> Pin:
    known = lock().get(normalised(line))
    if known:
        return known
    try:
        return _pin(line)
    except ValueError as error:
        raise UsageError(
            str(file),
            f"`{line}` is neither in imgpipe's lock ({', '.join(lock())}) nor pinned with hashes",
            hint="write `name==version --hash=sha256:…`; `pip hash` and `uv pip compile` make them",
        ) from error


def _lines(text: str) -> list[str]:
    """Return the logical lines: continued ones joined, comments and empty ones left out."""
    joined = re.sub(r"\\\n", " ", text)
    bare = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return [line for line in bare if line]


def _pin(line: str) -> Pin:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(line)
    return Pin(
        name=normalised(match["name"]),
        version=match["version"],
        machine=match["machine"],
        hashes=tuple(match["hashes"].split()),
    )
