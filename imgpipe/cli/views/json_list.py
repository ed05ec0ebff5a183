"""A JSON list on stdout, written as its members come: a million of them need no memory, and a pipe reads along."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from imgpipe.cli import render

if TYPE_CHECKING:
    from types import TracebackType


class JsonList:
    """A list under way. What was written stays valid JSON also when an error or Ctrl-C ends it early."""

    def __init__(self) -> None:
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def add(self, value: Any) -> None:
        sys.stdout.write(",\n" if self._count else "[\n")
        lines = render.as_json(value).split("\n")
        sys.stdout.write("\n".join(f"  {line}" for line in lines))
        self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, BrokenPipeError):
            sys.stdout.write("\n]\n" if self._count else "[]\n")
            sys.stdout.flush()
