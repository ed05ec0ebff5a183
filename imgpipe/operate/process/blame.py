"""Which file and line of the project's own code raised an error: a filter's, or the handler's."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe.deploy.templates import LAMBDAS

if TYPE_CHECKING:
    from imgpipe.operate.process.functions import Function

FILTERS = "filters"
_FRAME = re.compile(r'File "(?P<path>[^"\n]+)", line (?P<line>[0-9]+)')
_FILTER = re.compile(
    r"the filter `(?P<name>[^`]+)` (?P<did>.*?)(?: \(filters/[^()]*?(?P<line>[0-9]*)\))?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Blame:
    """Whose code it was, what it did, and its file, with the line where that is known."""

    who: str
    did: str
    path: str
    line: int = 0

    @property
    def place(self) -> str:
        return f"{self.path}, line {self.line}" if self.line else self.path


def blame(error: BaseException, function: Function) -> Blame | None:
    """Return what the project's own code did, in this process or in a child; None if it wasn't that."""
    if type(error).__name__ == "FilterFailed":
        return _filter(str(error), function)
    return _handler(error, function)


def _filter(told: str, function: Function) -> Blame | None:
    """Read the filter's name off FilterFailed's message, which is all that a child can pass on."""
    found = _FILTER.fullmatch(told)
    if not found:
        return None
    file = f"{LAMBDAS}/{function.source}/{FILTERS}/{found['name'].replace('-', '_')}.py"
    return Blame(f"the filter `{found['name']}`", found["did"], file, int(found["line"] or 0))


def _handler(error: BaseException, function: Function) -> Blame | None:
    """Return the innermost line of the project's own; a child's traceback is among the error's notes."""
    folder = function.folder.resolve()
    lambdas = folder / LAMBDAS / function.source
    frames = _FRAME.finditer("".join(traceback.format_exception(error)))
    own = [found for found in frames if Path(found["path"]).is_relative_to(lambdas)]
    if not own:
        return None
    told = f"raised {type(error).__name__}: {error}".rstrip(": ")
    path = str(Path(own[-1]["path"]).relative_to(folder))
    return Blame("the project's own handler", told, path, int(own[-1]["line"]))
