"""A filter of the project's own: loaded from its file, called, and named where it goes wrong.

Whatever it raises becomes FilterFailed, with its name, file and line: in a row or a log, a bare
`TypeError: unsupported operand` would send people looking at the picture.
"""

from __future__ import annotations

import importlib.util
import traceback
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from imgpipe.runtime import doing
from imgpipe.runtime.errors import FilterFailed, Reason, Rejected
from imgpipe.runtime.image.colour import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

FOLDER = "filters"
PHASES = ("tone", "finish")


class Own:
    """The function of a file `filters/NAME.py`, and the phase that the file asks for."""

    def __init__(self, name: str, path: Path) -> None:
        self._name, self._path = name, path
        with self._named():
            module = _module(path)
        self._function: Callable[..., Any] = getattr(module, path.stem, None)  # type: ignore[assignment]
        self.phase: Literal["tone", "finish"] = getattr(module, "PHASE", "tone")
        if not callable(self._function):
            raise FilterFailed(name, f"has no function `{path.stem}`", self._file)
        if self.phase not in PHASES:
            raise FilterFailed(name, 'has a PHASE that is neither "tone" nor "finish"', self._file)

    def __call__(self, im: Image.Image, value: Any) -> Image.Image:
        with self._named():
            # a copy: it may draw on what it gets, and other variants are made of that
            return self._checked(self._function(im.copy(), value), im.size)

    def _checked(self, made: object, size: tuple[int, int]) -> Image.Image:
        """Return what the function made, in a mode that the rest can work with."""
        if not isinstance(made, Image.Image):
            kind = "nothing" if made is None else f"a {type(made).__name__}"
            raise FilterFailed(self._name, f"returned {kind}, not a picture", self._file)
        if self.phase == "tone" and made.size != size:
            told = "{} x {} pixels for {} x {}".format(*made.size, *size)
            why = f'returned {told}; only with PHASE = "finish" it may change the size'
            raise FilterFailed(self._name, why, self._file)
        if made.mode in PLAIN:
            return made
        return made.convert("RGBA" if "A" in made.getbands() else "RGB")

    @property
    def _file(self) -> str:
        return f"{FOLDER}/{self._path.name}"

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            with doing.own_filter(self._name):
                yield
        except (FilterFailed, Rejected):
            raise
        except MemoryError as error:
            why = f"the filter `{self._name}` needs more than there is"
            raise Rejected(Reason.MEMORY_LIMIT, why) from error
        except (Exception, SystemExit) as error:
            told = f"raised {type(error).__name__}: {error}".rstrip(": ")
            raise FilterFailed(self._name, told, self._where(error)) from error

    def _where(self, error: BaseException) -> str:
        """Return the last line of the filter's own file that was at work."""
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == str(self._path)
        ]
        if isinstance(error, SyntaxError) and error.filename == str(self._path):
            lines.append(error.lineno)
        return f"{self._file}, line {lines[-1]}" if lines and lines[-1] else self._file


@lru_cache(maxsize=64)
def loaded(name: str, path: Path, changed_ns: int) -> Own:  # noqa: ARG001 - part of the key
    """Return the filter of a file, anew when the file has changed. Raises FilterFailed, Rejected."""
    return Own(name, path)


def _module(path: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(f"imgpipe_filter_{path.stem}", path)
    assert found is not None  # noqa: S101 - a file that ends with .py
    assert found.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
