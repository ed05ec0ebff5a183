"""Commands to run next, as they are for the environment that was asked about: `imgpipe up` becomes
`imgpipe up --env prod`. Who says a hint needn't know of it, be it for a person (`here`) or in JSON (`told`).
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
FIELDS = frozenset({"hint", "next", "command", "advice"})
"""Members of a JSON document that say what to run: as text, as a list of words, or as a list of either."""


def here(text: str, words: Sequence[str] | None = None) -> str:
    """Return `text` with `--env NAME` in each command that takes it and has none; `words` are this call's."""
    environment = _environment(sys.argv[1:] if words is None else words)
    if environment in {"", LOCAL}:
        return text
    return _in_text(text, environment)


def told(document: Any, words: Sequence[str] | None = None) -> Any:
    """Return a JSON document with `--env NAME` in each command that its FIELDS name, as `here` has it."""
    environment = _environment(sys.argv[1:] if words is None else words)
    return document if environment in {"", LOCAL} else _in_fields(document, environment)


def _in_fields(value: Any, environment: str) -> Any:
    if isinstance(value, list | tuple):
        return [_in_fields(each, environment) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: (_in_commands if name in FIELDS else _in_fields)(each, environment)
        for name, each in value.items()
    }


def _in_commands(value: Any, environment: str) -> Any:
    match value:
        case str():
            return _in_text(value, environment)
        case ["imgpipe", *words] if all(isinstance(word, str) for word in words):
            path = _path(tuple(words))
            given = any(_GIVEN.match(f"{word} ") for word in words)
            told = ["--env", environment] if path and not given else []
            return ["imgpipe", *path, *told, *words[len(path) :]]
        case list() | tuple():
            return [_in_commands(each, environment) for each in value]
        case _:
            return _in_fields(value, environment)


def _in_text(text: str, environment: str) -> str:
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
