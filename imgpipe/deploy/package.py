"""The zips of Lambda functions: built from a source folder, our runtime and locked packages, the
same bytes every time.

A zip holds the folder's files at its root, `imgpipe/runtime` beside them, and the packages that the
folder's `requirements.txt` names. Functions without packages don't get the image core either.

Two hashes, two purposes. `code_hashes` covers the sources and the lock, costs milliseconds and
needs no build: it is what decides whether a function is up to date, on whatever machine and for
whatever architecture. The zip's own SHA-256 is what Lambda reports as CodeSha256. Names are sorted,
times and permissions fixed, so two builds are equal.

For AWS a zip carries its modules compiled as well, where this machine has a Python of Lambda's
version (see `bytecode`); the embedded cloud's functions compile once, to the disk.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe.deploy import bytecode, lambda_lock, steps, wheels
from imgpipe.deploy.templates import source_folder
from imgpipe.errors import ImgpipeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgpipe.deploy.lambda_lock import Pin
    from imgpipe.deploy.spec import Spec
    from imgpipe.deploy.wheels import Files, Target

PACKAGE = Path(__file__).resolve().parent.parent
HANDLER = "handler.py"
HASH_LENGTH = 16
FORMAT = 2
"""Part of the cache's file names: raise it when the way that zips are made changes."""
MAX_ZIP_BYTES = 50_000_000
MAX_UNZIPPED_BYTES = 262_144_000
_TIME = (1980, 1, 1, 0, 0, 0)
_LEVEL = {"host": 1}
_BEST = 9
"""Deflate's level:

for this machine the quick one (0.3 s in place of 3.2 s, a tenth larger), for AWS the best.
"""


@dataclass(frozen=True, slots=True)
class Zip:
    """A built zip. `sha256_base64` is what Lambda calls CodeSha256; `compiled` says whether it carries its
    modules compiled as well, as those for AWS should.
    """

    path: Path
    sha256_base64: str
    size: int
    code_hash: str
    compiled: bool


def code_hashes(spec: Spec, folder: Path) -> dict[str, str]:
    """Return the hash of each Lambda source that `spec` needs; `folder` is the project's."""
    return {source: code_hash(source, folder) for source in steps.sources(spec)}


def code_hash(source: str, folder: Path) -> str:
    """Return the hash of one source:

    its files, our runtime, its pins. Raises UsageError when it isn't there.
    """
    where = _located(source, folder)
    pins = lambda_lock.pins(where)
    digest = hashlib.sha256()
    for name, data in sorted(_sources(where, pins).items()):
        digest.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
    for pin in pins:
        digest.update(f"{pin.requirement()} {pin.machine}\n".encode())
    return digest.hexdigest()[:HASH_LENGTH]


def build(sources: Iterable[str], folder: Path, out_dir: Path, *, target: Target) -> dict[str, Zip]:
    """Build the zips of `sources` into `out_dir`, or take them from there when nothing changed.

    Raises UsageError for a source that isn't there, ImgpipeError when a package can't be had or a
    zip is too large for Lambda.
    """
    return {source: _built(source, folder, out_dir, target) for source in sources}


def _built(source: str, folder: Path, out_dir: Path, target: Target) -> Zip:
    hashed, wanted = code_hash(source, folder), wheels.abi(target)
    kept = f"{source}-{target}-"
    path = out_dir / f"{kept}py{wanted.python}-{wanted.machine}-{FORMAT}-{hashed}.zip"
    if not _is_built(path, target):
        where = _located(source, folder)
        pins = lambda_lock.pins(where)
        files = {**wheels.files(pins, target), **_sources(where, pins)}
        if target != "host":
            files |= bytecode.files(files, wanted.python)
        data = archive(files, _level(target))
        _check_size(source, data)
        _write(path, data)
        _forget_others(path, kept)
    data = path.read_bytes()
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return Zip(path, digest, len(data), hashed, _is_compiled(path))


def slow_starts(target: Target, zips: Iterable[Zip]) -> str:
    """Return what is to be told of zips without compiled modules; "" if there are none that should have them."""
    if target == "host" or all(made.compiled for made in zips):
        return ""
    python = wheels.abi(target).python
    why = "it failed here" if bytecode.compiler(python) else f"there is no python{python} here"
    return (
        f"modules could not be compiled for Lambda's Python ({why}): the functions work, "
        f"but compile them at each cold start"
    )


def _is_built(path: Path, target: Target) -> bool:
    """Say whether the zip is there, and as good as it can be: a Python to compile with may have come since."""
    if not path.is_file():
        return False
    python = wheels.abi(target).python
    return target == "host" or _is_compiled(path) or not bytecode.compiler(python)


def _is_compiled(path: Path) -> bool:
    with zipfile.ZipFile(path) as made:
        return any(name.endswith(".pyc") for name in made.namelist())


def archive(files: Files, level: int = _BEST) -> bytes:
    """Return a zip of `files` that depends on nothing but them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, _TIME)
            info.create_system = 3  # Unix, also when built elsewhere
            info.external_attr = 0o100644 << 16  # Lambda must be able to read it
            made.writestr(info, data, zipfile.ZIP_DEFLATED, level)
    return out.getvalue()


def _level(target: Target) -> int:
    return _LEVEL.get(target, _BEST)


def _located(source: str, folder: Path) -> Path:
    where = source_folder(source, folder)
    if not (where / HANDLER).is_file():
        raise UsageError(
            f"Lambda source {source}",
            f"there is no {where / HANDLER}",
            hint=f"make lambdas/{source}/{HANDLER}, or run `imgpipe init` for the default ones",
        )
    return where


def _sources(where: Path, pins: tuple[Pin, ...]) -> dict[str, bytes]:
    """Return our own files and the folder's, by their path in the zip."""
    ours = {f"imgpipe/runtime/{name}": data for name, data in _tree(PACKAGE / "runtime").items()}
    if not pins:
        ours = {
            name: data
            for name, data in ours.items()
            if not name.startswith("imgpipe/runtime/image/")
        }
    return {
        "imgpipe/__init__.py": (PACKAGE / "__init__.py").read_bytes(),
        **ours,
        **_tree(where),
    }


def _tree(folder: Path) -> dict[str, bytes]:
    """Return the files under `folder`, without caches and hidden ones."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            found["/".join(parts)] = path.read_bytes()
    return found


def _check_size(source: str, data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        unzipped = sum(info.file_size for info in made.infolist())
    for size, limit, what in (
        (len(data), MAX_ZIP_BYTES, "zip"),
        (unzipped, MAX_UNZIPPED_BYTES, "unzipped code"),
    ):
        if size > limit:
            raise ImgpipeError(
                f"Lambda source {source}",
                f"its {what} has {size} bytes; Lambda takes {limit}",
                hint="remove packages from its requirements.txt, or large files from its folder",
            )


def _write(path: Path, data: bytes) -> None:
    """Write atomically: a zip that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(path)


def _forget_others(path: Path, kept: str) -> None:
    for other in path.parent.glob(f"{kept}*.zip"):
        if other != path:
            other.unlink(missing_ok=True)
