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


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the project's own; `filter` is the name of the filter that the file is, if any."""

    path: str
    line: int
    filter: str = ""

    def __str__(self) -> str:
        at = f"{self.path}, line {self.line}"
        return f"filter {self.filter}: {at}" if self.filter else at


def place(error: BaseException, function: Function) -> Place | None:
    """Return the innermost line of the project's own that raised `error`, in this process or in a
    child, whose traceback is among the error's notes.
    """
    folder = function.folder.resolve()
    lambdas = folder / LAMBDAS / function.source
    frames = _FRAME.finditer("".join(traceback.format_exception(error)))
    own = [found for found in frames if Path(found["path"]).is_relative_to(lambdas)]
    if not own:
        return None
    path = Path(own[-1]["path"])
    name = path.stem.replace("_", "-") if path.parent == lambdas / FILTERS else ""
    return Place(str(path.relative_to(folder)), int(own[-1]["line"]), name)
