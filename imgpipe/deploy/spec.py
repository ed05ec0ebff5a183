"""pipeline.yaml -> Spec: read, laid over by the environment, checked; every problem told at once.

What a person wrote wrong in one place must not hide what is wrong in another: values that the
models refuse are put aside, a misspelt key is read as the one it must mean, and the rules still run
over the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from imgpipe.deploy import environments, limits, rules, schema, wording, yaml_source
from imgpipe.deploy.model import OVERRIDABLE, Environment, Spec, Step, Variant
from imgpipe.deploy.problems import Finding, Problem, SpecError, YamlPath, meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from imgpipe.deploy.yaml_source import Document

__all__ = [
    "Environment",
    "Spec",
    "Step",
    "Variant",
    "load",
    "load_off_cloud",
    "parse",
    "problems",
]

ROUNDS = 8
"""What is below a misspelt key is seen a round later; nothing nests deeper."""
STAND_INS: dict[YamlPath, Any] = {("version",): 1, ("name",): "pipeline"}
"""What takes the place of a value that was put aside but must be there."""


def load(file: Path, environment: str) -> Spec:
    """Return the pipeline that `file` declares, as it is in `environment`.

    Raises UsageError for a missing file or an unknown environment; SpecError, with every problem's
    line and column, for a declaration that can't work.
    """
    return parse(yaml_source.read(file), environment)


def parse(document: Document, environment: str) -> Spec:
    """Check a document that was read. Raises as `load` does."""
    spec, found, over = _checked(document, environment)
    if found or over or spec is None:
        raise SpecError(document.file, [*found, *over])
    return spec


def problems(document: Document, environment: str) -> tuple[Problem, ...]:
    """Return what is wrong with a document in `environment`."""
    _, found, over = _checked(document, environment)
    return tuple(sorted({*found, *over}))


def load_off_cloud(file: Path, environment: str) -> tuple[Spec, tuple[Problem, ...]]:
    """Return the pipeline for work that needs no cloud, and which of AWS's limits it would pass there.

    Raises as `load` does, but not for these limits.
    """
    document = yaml_source.read(file)
    spec, found, over = _checked(document, environment)
    if found or spec is None:
        raise SpecError(document.file, [*found, *over])
    return spec, tuple(sorted(set(over)))


def _checked(
    document: Document, environment: str
) -> tuple[Spec | None, list[Problem], list[Problem]]:
    """Return the Spec, if there is any, what is wrong with it, and which of AWS's limits it passes."""
    laid = environments.lay_over(document, environment)
    reading = _Reading(laid.data)
    spec, found = reading.spec(), reading.found
    over: list[Finding] = []
    if spec is not None:
        folder = document.file.resolve().parent
        found += reading.kept(rules.check(spec, environment, folder))
        over = reading.kept(limits.check(spec, environment))
    wrong, passed = ([_placed(laid, each) for each in told] for told in (found, over))
    return spec, [*document.problems, *wrong], passed


def _placed(document: Document, finding: Finding) -> Problem:
    where = document.key_mark if finding.at_key else document.mark
    return Problem(where(finding.path), finding.message)


class _Reading:
    """Data on its way to a Spec: `found` is what was refused so far, `aside` where a value was left out for it."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.found: list[Finding] = []
        self.aside: list[YamlPath] = []
        self._written: dict[YamlPath, str] = {}  # a key that was put right -> what stands there

    def spec(self) -> Spec | None:
        """Return the Spec of the data without what was refused; None when even that is none."""
        for _ in range(ROUNDS):
            try:
                return Spec.model_validate(self.data)
            except ValidationError as error:
                self._take_out(error)
        return None

    def _take_out(self, error: ValidationError) -> None:
        """Note what was refused, and go on without it, or with the key that it must mean."""
        before, out = set(self.aside), []
        for each in error.errors():
            finding = wording.finding(each)
            if finding.path not in before:  # what was left out is missing now: not a second fault
                self.found.append(self.as_written(finding))
            if each["type"] != "extra_forbidden":
                self.aside.append(finding.path)
            elif self._put_right(finding.path):
                continue
            out.append(finding.path)
        self.data = _without(self.data, out, ())

    def _put_right(self, path: YamlPath) -> bool:
        """Call an unknown key as it must be meant, unless that one is there as well."""
        around, key = _at(self.data, path[:-1]), path[-1]
        name = meant(key, schema.known_keys(path[:-1]))
        laid_over = path[0] == environments.SECTION and name in OVERRIDABLE
        if not name or laid_over or not isinstance(around, dict) or name in around:
            return False
        self.data = _renamed(self.data, path, name)
        self._written[(*path[:-1], name)] = str(key)
        return True

    def kept(self, seen: Iterable[Finding]) -> list[Finding]:
        """Return findings as the file spells them, but those that may come from a value put aside."""
        aside = [path[:-1] for path in self.aside]
        return [self.as_written(each) for each in seen if not _near(each.path, aside)]

    def as_written(self, finding: Finding) -> Finding:
        """Return `finding` at the path as it is spelt in the file."""
        path = finding.path
        spelt = [self._written.get(path[: n + 1], part) for n, part in enumerate(path)]
        return finding._replace(path=tuple(spelt))


def _at(data: Any, path: YamlPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _renamed(data: Any, path: YamlPath, name: str) -> Any:
    """Return `data` with the key at `path` called `name`, in its place."""
    first, *rest = path
    if isinstance(data, list):
        return [
            _renamed(item, tuple(rest), name) if index == first else item
            for index, item in enumerate(data)
        ]
    if not rest:
        return {name if key == first else key: value for key, value in data.items()}
    return {
        key: _renamed(value, tuple(rest), name) if key == first else value
        for key, value in data.items()
    }


def _without(data: Any, paths: Sequence[YamlPath], here: YamlPath) -> Any:
    """Return `data`, which stands at `here`, without what stands at `paths`."""
    if isinstance(data, dict):
        kept = {
            key: _without(value, paths, (*here, key))
            for key, value in data.items()
            if (*here, key) not in paths
        }
        return {
            **kept,
            **{path[0]: STAND_INS[path] for path in paths if not here and path in STAND_INS},
        }
    if isinstance(data, list):
        items = [(index, item) for index, item in enumerate(data) if (*here, index) not in paths]
        return [_without(item, paths, (*here, index)) for index, item in items]
    return data


def _near(path: YamlPath, aside: Iterable[YamlPath]) -> bool:
    """Whether a rule's finding may only come from a value that was put aside."""
    return any(path[: len(parent)] == parent for parent in aside if parent)
