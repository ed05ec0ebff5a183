"""The functions' image work on files, without any cloud: a preview, a way to try settings, and the
way to time them.

It runs the very code that the functions run: `make` of each function's handler, the project's own
if it has one, with the settings of pipeline.yaml. One difference: all in this process, so a file
that kills a decoder ends the command.
"""

from __future__ import annotations

import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.deploy import steps
from imgpipe.deploy.templates import source_folder
from imgpipe.errors import ImgpipeError, UsageError
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.settings import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from imgpipe.deploy.spec import Spec
    from imgpipe.runtime.made import Made, Make, Picture

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What one Lambda function of the pipeline does with an upload."""

    name: str
    steps: Mapping[str, Mapping[str, Any]]
    make: Make


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
    """How one file ended. `ms` is the work alone, by function: no reading, no writing."""

    file: str
    status: Literal["done", "rejected", "failed"]
    size: int = 0
    reason: str = ""
    message: str = ""
    ms: Mapping[str, float] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total_ms(self) -> float:
        return round(sum(self.ms.values()), 1)


def functions(spec: Spec, folder: Path, only: Sequence[str] = ()) -> list[Function]:
    """Return the functions that work on uploads, with the steps named in `only` (all, by default).

    Raises UsageError for a step that there isn't, or whose handler has no `make`.
    """
    unknown = [name for name in only if name not in spec.created]
    if unknown:
        raise UsageError(
            f"step {unknown[0]}", f"there is none; known are {', '.join(spec.created)}"
        )
    found = []
    for group in steps.groups(spec):
        chosen = {
            name: steps.with_hash(step) for name, step in group.steps.items() if _wanted(name, only)
        }
        if group.on == "created" and chosen:
            found.append(
                Function(name=group.name, steps=chosen, make=load_make(group.source, folder))
            )
    return found


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or name in only


def load_make(source: str, folder: Path) -> Make:
    """Return `make` of the handler in the Lambda source `source`."""
    path = source_folder(source, folder) / "handler.py"
    found = importlib.util.spec_from_file_location(f"imgpipe_handler_{source}", path)
    if found is None or found.loader is None or not path.is_file():
        raise UsageError(f"Lambda source {source}", f"there is no {path}")
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise ImgpipeError(str(path), f"{type(error).__name__}: {error}") from error
    make: Make | None = getattr(module, "make", None)
    if make is None:
        raise UsageError(str(path), "it has no function `make` that could be run without a cloud")
    return make


def limits(spec: Spec) -> Limits:
    declared = spec.uploads.limits
    return Limits(
        max_bytes=declared.bytes,
        max_pixels=declared.pixels,
        max_frames=declared.frames,
        decode_s=declared.decode,
    )


def process(
    files: Iterable[Path],
    wanted: Sequence[Function],
    limits: Limits,
    *,
    out: Path | None = None,
    clock: Clock = time.perf_counter,
) -> Iterator[Processed]:
    """Yield how each file ended, and write its variants to `out/<variant>/<name>.<extension>`."""
    for file in files:
        data = _read(file, limits.max_bytes)
        if isinstance(data, Processed):
            yield data
        else:
            yield _work(data, wanted, limits, file=file, out=out, clock=clock)


def _read(file: Path, max_bytes: int) -> bytes | Processed:
    """Return the file's bytes, or how it ended without any work."""
    try:
        size = file.stat().st_size
        if size > max_bytes:
            refusal = Rejected(Reason.TOO_LARGE, f"{size} bytes; the limit is {max_bytes}")
            return _refused(file, refusal, size)
        return file.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        return Processed(file=str(file), status="failed", reason="unreadable", message=why)


def _work(
    data: bytes,
    wanted: Sequence[Function],
    limits: Limits,
    *,
    file: Path,
    out: Path | None,
    clock: Clock,
) -> Processed:
    ms: dict[str, float] = {}
    made: dict[str, Made] = {}
    try:
        for function in wanted:
            started = clock()
            made.update(function.make(data, function.steps, limits))
            ms[function.name] = round((clock() - started) * 1000, 1)
    except Rejected as refusal:
        return _refused(file, refusal, len(data))
    except MemoryError:
        return _refused(file, Rejected(Reason.MEMORY_LIMIT), len(data))
    except Exception as error:  # noqa: BLE001 - a handler of the user's own may raise anything
        kind, why = type(error).__name__, str(error)
        return Processed(file=str(file), status="failed", size=len(data), reason=kind, message=why)
    pictures = {name: picture for each in made.values() for name, picture in each.variants.items()}
    return Processed(
        file=str(file),
        status="done",
        size=len(data),
        ms=ms,
        variants={name: _kept(file, name, picture, out) for name, picture in pictures.items()},
        facts={name: fact for each in made.values() for name, fact in each.facts.items()},
    )


def _refused(file: Path, refusal: Rejected, size: int) -> Processed:
    return Processed(
        file=str(file),
        status="rejected",
        size=size,
        reason=refusal.reason.value,
        message=refusal.message,
    )


def _kept(file: Path, name: str, picture: Picture, out: Path | None) -> Variant:
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


def refuse_same_names(files: Iterable[Path]) -> None:
    """Raise UsageError when the variants of two files would be written to one name."""
    stems = Counter(file.stem for file in files)
    twice = [stem for stem, count in stems.items() if count > 1]
    if twice:
        raise UsageError(
            f"{stems[twice[0]]} files are called {twice[0]}",
            "their variants would overwrite each other",
            hint="process them with different --out folders",
        )
