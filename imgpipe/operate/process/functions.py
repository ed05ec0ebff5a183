"""Which functions the pipeline has, and the code that each runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe.deploy import steps
from imgpipe.deploy.templates import source_folder
from imgpipe.errors import ImgpipeError, UsageError

if TYPE_CHECKING:
    from imgpipe.deploy.spec import Spec
    from imgpipe.runtime.made import Make


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What one Lambda function of the pipeline does with an upload; `source` is its code's folder
    below `folder`.
    """

    name: str
    steps: Mapping[str, Mapping[str, Any]]
    source: str
    folder: Path


def functions(spec: Spec, folder: Path, only: Sequence[str] = ()) -> list[Function]:
    """Return the functions that work on uploads, with the steps named in `only` (all, by default).

    Raises UsageError for a step that there isn't, or whose handler has no `make`.
    """
    _check_names(spec, only)
    found = []
    for group in steps.groups(spec):
        chosen = {
            name: steps.with_hash(step) for name, step in group.steps.items() if _wanted(name, only)
        }
        if group.on == "created" and chosen:
            found.append(
                Function(name=group.name, steps=chosen, source=group.source, folder=folder)
            )
            load_make(group.source, folder)
    return found


def _check_names(spec: Spec, only: Sequence[str]) -> None:
    unknown = [name for name in only if name not in spec.created]
    if unknown:
        why = "it works on removals" if unknown[0] in spec.steps else "there is none"
        known = ", ".join(spec.created)
        raise UsageError(f"step {unknown[0]}", f"{why}; those that work on uploads are {known}")


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
