"""One file through all functions: read, made, written, timed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.operate.process import blame
from imgpipe.operate.process.files import File, NoFile
from imgpipe.operate.process.functions import Function, load_make
from imgpipe.runtime import naming
from imgpipe.runtime.errors import WORDS, Reason, Rejected, megabytes
from imgpipe.runtime.guard import Guard, guarded

if TYPE_CHECKING:
    from imgpipe.runtime.made import Made, Make, Picture
    from imgpipe.runtime.settings import Limits

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant that was made; `path` is where it was written, if anywhere."""

    width: int
    height: int
    bytes: int
    format: str
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """How one file ended.

    `ms` is the work alone: no reading, no writing, but also what was done until a file was refused;
    `functions` says how it is shared. `reason` is one of the closed list of rejections, or the
    exception's name, `why` says it in words and `message` what was found, or where in the project's
    own code.
    """

    file: str
    status: Literal["done", "rejected", "failed"]
    size: int = 0
    ms: float = 0.0
    reason: str = ""
    why: str = ""
    message: str = ""
    functions: Mapping[str, float] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is done with every file. Plain values, so that another process can be told."""

    functions: Sequence[Function]
    limits: Limits
    out: Path | None = None
    isolate: bool = True  # each image in a child that may crash, hang or starve, as in a function
    clock: Clock = time.perf_counter

    def makes(self) -> list[tuple[Function, Make]]:
        loaded = [(each, _aside(load_make(each.source, each.folder))) for each in self.functions]
        if not (self.isolate and self.limits.isolate):
            return loaded
        return [(each, guarded(make)) for each, make in loaded]


def _aside(make: Make) -> Make:
    """Return `make` with what it prints on stderr: stdout is the command's data."""

    def made(
        data: bytes, wanted: Mapping[str, Mapping[str, Any]], limits: Limits
    ) -> Mapping[str, Made]:
        with redirect_stdout(sys.stderr):
            return make(data, wanted, limits)

    return made


def one(file: File | NoFile, task: Task, makes: Sequence[tuple[Function, Make]]) -> Processed:
    """Do all the work on one file and say how it ended. Raises nothing that a file can cause."""
    if isinstance(file, NoFile):
        return Processed(file=file.path, status="failed", reason=file.reason, why=file.why)
    data = _read(Path(file.path), task.limits.max_bytes)
    return data if isinstance(data, Processed) else _worked(file, data, task, makes)


def refused(
    path: str, refusal: Rejected, size: int = 0, times: Mapping[str, float] | None = None
) -> Processed:
    times = times or {}
    return Processed(
        file=path,
        status="rejected",
        size=size,
        ms=_sum(times),
        functions=times,
        reason=refusal.reason.value,
        why=WORDS[refusal.reason],
        message=refusal.message,
    )


def _sum(times: Mapping[str, float]) -> float:
    return round(sum(times.values()), 1)


def _read(path: Path, max_bytes: int) -> bytes | Processed:
    """Return the file's bytes, or how it ended without any work."""
    try:
        size = path.stat().st_size
        if size > max_bytes:
            why = f"{megabytes(size)}; the limit is {megabytes(max_bytes)}"
            return refused(str(path), Rejected(Reason.TOO_LARGE, why), size)
        return path.read_bytes()
    except OSError as error:
        return _failed(str(path), error, 0, reason="unreadable")


def _failed(path: str, error: Exception, size: int, reason: str = "") -> Processed:
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Processed(
        file=path, status="failed", size=size, reason=reason or type(error).__name__, why=told
    )


def _blamed(failed: Processed, error: Exception, function: Function) -> Processed:
    """Return `failed` with the place in the project's own code, where it was that code that failed."""
    found = blame.blame(error, function)
    return replace(failed, why=f"{found.who} {found.did}", message=found.place) if found else failed


def _worked(
    file: File, data: bytes, task: Task, makes: Sequence[tuple[Function, Make]]
) -> Processed:
    times: dict[str, float] = {}
    made: dict[str, Made] = {}
    try:
        for function, make in makes:
            made.update(_timed(make, data, function, task, times))
        kept = {name: _kept(file, name, each, task.out) for name, each in _pictures(made).items()}
    except Rejected as refusal:
        return refused(file.path, refusal, len(data), times)
    except MemoryError:
        return refused(file.path, Rejected(Reason.MEMORY_LIMIT), len(data), times)
    except Exception as error:  # noqa: BLE001 - a handler of the user's own may raise anything
        failed = _blamed(_failed(file.path, error, len(data)), error, function)
        return replace(failed, ms=_sum(times), functions=times)
    told = (
        each.facts for _, each in sorted(made.items())
    )  # in the row, too, the last by name wins
    facts = {name: fact for each in told for name, fact in each.items()}
    return Processed(
        file=file.path,
        status="done",
        size=len(data),
        ms=_sum(times),
        functions=times,
        variants=kept,
        facts={**facts, **naming.note(file.path, facts)},
    )


def _timed(
    make: Make, data: bytes, function: Function, task: Task, times: dict[str, float]
) -> Mapping[str, Made]:
    """Return what `make` made and note its time: in a child, without the way there and back, unless
    it ends badly.
    """
    started, ms = task.clock(), None
    try:
        if isinstance(make, Guard):
            done = make.work(data, function.steps, task.limits)
            ms = done.ms
            return done.made
        return make(data, function.steps, task.limits)
    finally:
        taken = (task.clock() - started) * 1000 if ms is None else ms
        times[function.name] = round(taken, 1)


def _pictures(made: Mapping[str, Made]) -> dict[str, Picture]:
    return {name: picture for each in made.values() for name, picture in each.variants.items()}


def _kept(file: File, name: str, picture: Picture, out: Path | None) -> Variant:
    path = out / name / f"{file.stem}.{picture.extension}" if out else None
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.data)
    return Variant(
        width=picture.width,
        height=picture.height,
        bytes=len(picture.data),
        format=picture.format,
        path=str(path) if path else None,
    )
