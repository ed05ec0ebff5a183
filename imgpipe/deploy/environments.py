"""One pipeline in several places: what `environments` says is laid over the rest, key by key.

Mappings merge at every depth; lists and single values are replaced whole, so that nobody has to
guess what a merged list contains; `null` takes a step, an address or any other key away. What is
laid over keeps its own line and column. `local` is always there: the embedded cloud on this
machine.
"""

from __future__ import annotations

from typing import Any

from imgpipe.cloud import LOCAL
from imgpipe.deploy.model import OVERRIDABLE
from imgpipe.deploy.problems import YamlPath, listed, nearest
from imgpipe.deploy.yaml_source import Document
from imgpipe.errors import UsageError

SECTION = "environments"


def declared(data: Any) -> list[str]:
    """Return the environments of a pipeline as read, `local` first."""
    section = data.get(SECTION) if isinstance(data, dict) else None
    named = [name for name in section if name != LOCAL] if isinstance(section, dict) else []
    return [LOCAL, *named]


def lay_over(document: Document, environment: str) -> Document:
    """Return `document` as it is for `environment`; its `environments` keep only profile and
    Region.

    Raises UsageError when there is no such environment.
    """
    known = declared(document.data)
    if environment not in known:
        raise UsageError(
            f"environment {environment}",
            f"{document.file} has {listed(known)}{nearest(environment, known)}",
            hint=f"add `{environment}: {{region: …}}` under `environments`, or use another --env",
        )
    if not isinstance(document.data, dict):
        return document
    merged = _Merge(document)
    override = (SECTION, environment)
    for section in OVERRIDABLE:
        if section in _at(document.data, override):
            merged.lay((section,), (*override, section))
    return merged.result()


def _at(data: Any, path: YamlPath) -> dict[str, Any]:
    """Return the mapping at `path`; an empty one where there is none."""
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


class _Merge:
    """A copy of a document, whose data and marks are laid over in step."""

    def __init__(self, document: Document) -> None:
        self.before = document
        self.data = _copied(document.data)
        self.keys, self.values = dict(document.keys), dict(document.values)

    def lay(self, path: YamlPath, source: YamlPath) -> None:
        """Lay what stands at `source` over what stands at `path`."""
        parent, override = (
            _at(self.data, path[:-1]),
            _at(self.before.data, source[:-1])[str(source[-1])],
        )
        existing = parent.get(str(path[-1]))
        if override is None:
            parent.pop(str(path[-1]), None)
        elif isinstance(existing, dict) and isinstance(override, dict):
            for key in override:
                self.lay((*path, key), (*source, key))
        else:
            parent[str(path[-1])] = _copied(override)
            self._move_marks(path, source)

    def _move_marks(self, path: YamlPath, source: YamlPath) -> None:
        for marks, before in ((self.keys, self.before.keys), (self.values, self.before.values)):
            for old in [known for known in marks if known[: len(path)] == path]:
                del marks[old]
            for known, mark in before.items():
                if known[: len(source)] == source:
                    marks[(*path, *known[len(source) :])] = mark

    def result(self) -> Document:
        section = self.data.get(SECTION)
        if section is None:
            section = self.data[SECTION] = {}
        if isinstance(section, dict):
            section.setdefault(LOCAL, {})
            for name, entry in section.items():
                section[name] = _without_sections(entry)
        return Document(self.before.file, self.data, self.keys, self.values, self.before.problems)


def _without_sections(entry: Any) -> Any:
    if entry is None:
        return {}
    if not isinstance(entry, dict):
        return entry
    return {key: value for key, value in entry.items() if key not in OVERRIDABLE}


def _copied(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _copied(value) for key, value in data.items()}
    return [_copied(item) for item in data] if isinstance(data, list) else data
