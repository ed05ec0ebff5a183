"""pipeline.yaml as plain data in which every key and value still knows its line and column.

Scalars follow YAML 1.2's core schema: `on`, `yes` and `10:30` are text, and `010` is ten. Duplicate
keys, which YAML parsers usually let the last one win, are problems. Left out on purpose: merge keys
(`<<`), dates and custom tags; `environments` is how settings are shared here. Aliases work, within
a budget that stops a file from exploding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from imgpipe.deploy.problems import Mark, Problem, SpecError, YamlPath
from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 40
MAX_DIGITS = 30

_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Resolves scalars as YAML 1.2 does."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as the base class declares it


for _name, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN"),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), [*_first, ""])


@dataclass(frozen=True, slots=True)
class Document:
    """Data (mappings, lists, scalars) and where each path of it stands in the file."""

    file: Path
    data: Any
    keys: dict[YamlPath, Mark] = field(
        default_factory=dict
    )  # where a key, or a list's item, begins
    values: dict[YamlPath, Mark] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def mark(self, path: YamlPath) -> Mark:
        """Return where the value at `path` begins; for a path that isn't written, its nearest
        written parent's key.
        """
        if path in self.values:
            return self.values[path]
        return self.key_mark(path)

    def key_mark(self, path: YamlPath) -> Mark:
        """Return where the key of `path` begins, or its nearest written parent's."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.keys:
                return self.keys[path[:length]]
        return Mark(1, 1)


def read(file: Path) -> Document:
    """Read `file`. Raises UsageError when it can't be read, SpecError (line and column) when it
    isn't YAML.
    """
    return parse(_text(file), file)


def parse(text: str, file: Path) -> Document:
    """Compose `text` into a Document; duplicate keys and the like are in its `problems`."""
    _check_characters(text, file)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise SpecError(file, [_syntax_problem(error)]) from error
    except RecursionError as error:
        raise UsageError(str(file), f"it is nested more than {MAX_DEPTH} levels deep") from error
    finally:
        loader.dispose()
    if node is None:
        raise UsageError(str(file), "it is empty", hint="imgpipe init")
    return _Builder(file).build(node)


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            str(file), "there is no such file", hint="imgpipe init, or name another with --file"
        ) from error
    except OSError as error:
        raise UsageError(str(file), f"it can't be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise UsageError(
            str(file), f"it has {len(content):,} bytes, more than a pipeline's {MAX_BYTES:,}"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        raise SpecError(file, [Problem(_end_of(before), "this is not UTF-8 text")]) from error


def _check_characters(text: str, file: Path) -> None:
    """Raise SpecError at the first character that YAML doesn't allow."""
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if found:
        raise SpecError(
            file,
            [
                Problem(
                    _end_of(text[: found.start()]),
                    f"the character {found.group()!a} is not allowed in YAML",
                )
            ],
        )


def _end_of(text: str) -> Mark:
    return Mark(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
    problem = (error.problem or "this is not YAML").replace("\\t", "tab")
    if "cannot start any token" in problem and "tab" in problem:
        problem = "a tab can't indent in YAML; use spaces"
    if not error.context:
        return Problem(where, problem)
    if problem.startswith("but "):
        return Problem(where, f"{error.context}, {problem}")
    return Problem(where, f"{problem} ({error.context})")


class _Builder:
    """Turns composed nodes into data, and remembers the marks."""

    def __init__(self, file: Path) -> None:
        self.document = Document(file, None)
        self.problems: list[Problem] = []
        self.nodes = 0

    def build(self, root: yaml.Node) -> Document:
        data = self._value(root, ())
        made = self.document
        return Document(made.file, data, made.keys, made.values, tuple(self.problems))

    def _value(self, node: yaml.Node, path: YamlPath) -> Any:
        self.nodes += 1
        mark = _mark(node)
        if len(path) > MAX_DEPTH or self.nodes > MAX_NODES:
            raise SpecError(
                self.document.file, [Problem(mark, "too large or too deep for a pipeline")]
            )
        self.document.values[path] = mark
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, path)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: YamlPath) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            here = (*path, key)
            if key in made:
                first = self.document.keys[here]
                self.problems.append(
                    Problem(
                        _mark(key_node),
                        f"`{key}` is written twice; the first is in line {first.line}",
                    )
                )
                continue
            self.document.keys[here] = _mark(key_node)
            made[key] = self._value(value_node, here)
        return made

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self.problems.append(Problem(_mark(node), "a key must be a word"))
        return "?"

    def _sequence(self, node: yaml.SequenceNode, path: YamlPath) -> list[Any]:
        made = []
        for index, item in enumerate(node.value):
            self.document.keys[(*path, index)] = _mark(item)
            made.append(self._value(item, (*path, index)))
        return made

    def _scalar(self, node: yaml.Node) -> Any:
        text, tag = str(node.value), node.tag.removeprefix(_TAG)
        match tag:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text) if len(text) < MAX_DIGITS else text
            case "float":
                return float(text)
            case "str":
                return text
            case _:
                self.problems.append(Problem(_mark(node), f"the tag {node.tag} means nothing here"))
                return text


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)
