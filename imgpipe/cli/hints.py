"""Commands to run next, as they are for the environment that was asked about: `imgpipe up` becomes
`imgpipe up --env prod`. Who says a hint needn't know of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from imgpipe.cli.options import LOCAL

_COMMAND = re.compile(r"imgpipe((?: [a-z][a-z-]*)+)")
_GIVEN = re.compile(r"(?:--env|-e)[ =]")


def here(text: str, words: Sequence[str] | None = None) -> str:
    """Return `text` with `--env NAME` in each command that takes it and has none; `words` are this call's."""
    environment = _environment(sys.argv[1:] if words is None else words)
    if environment in {"", LOCAL}:
        return text
    return "".join(_told(piece, environment) for piece in re.split(r"(?=\bimgpipe )", text))


def _told(piece: str, environment: str) -> str:
    found = _COMMAND.match(piece)
    if not found or _GIVEN.search(piece):
        return piece
    path = _path(tuple(found[1].split()))
    if not path:
        return piece
    end = len("imgpipe " + " ".join(path))
    return f"{piece[:end]} --env {environment}{piece[end:]}"


def _environment(words: Sequence[str]) -> str:
    """Return the environment that a call names itself. One from IMGPIPE_ENV holds for the next command as well."""
    for word, after in pairwise([*words, ""]):
        if word in {"--env", "-e"}:
            return after
        if word.startswith("--env="):
            return word.partition("=")[2]
    return ""


@cache
def _path(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of `words` that name a command which takes `--env`; none if there is no such command."""
    from typer.main import get_command

    from imgpipe.cli.main import build_app, narrowed

    command: Any = get_command(narrowed(build_app(), words))
    for depth, word in enumerate(words):
        inside = getattr(command, "commands", {})
        if word not in inside:
            words = words[:depth]
            break
        command = inside[word]
    takes = any("--env" in parameter.opts for parameter in command.params)
    return words if words and takes else ()
