"""pipeline.yaml -> Spec: read, laid over by the environment, checked; every problem told at once.

What a person wrote wrong in one place must not hide what is wrong in another: values that the
models refuse are put aside, and the rules still run over the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from imgpipe.deploy import environments, limits, rules, wording, yaml_source
from imgpipe.deploy.model import Environment, Spec, Step, Variant
from imgpipe.deploy.problems import Finding, Problem, SpecError, YamlPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from imgpipe.deploy.yaml_source import Document

__all__ = ["Environment", "Spec", "Step", "Variant", "load", "parse", "problems"]

HINT = "imgpipe schema prints every setting and its limits"
ROUNDS = 3
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
    spec, found = _checked(document, environment)
    if found or spec is None:
        raise SpecError(document.file, found, hint=HINT)
    return spec


def problems(document: Document, environment: str) -> tuple[Problem, ...]:
    """Return what is wrong with a document in `environment`."""
    return tuple(sorted(set(_checked(document, environment)[1])))


def _checked(document: Document, environment: str) -> tuple[Spec | None, list[Problem]]:
    laid = environments.lay_over(document, environment)
    spec, found = _validated(laid.data)
    if spec is not None:
        aside = [finding.path[:-1] for finding in found]
        folder = document.file.resolve().parent
        seen = [*rules.check(spec, environment, folder), *limits.check(spec, environment)]
        found += [finding for finding in seen if not _near(finding.path, aside)]
    return spec, [*document.problems, *(_placed(laid, finding) for finding in found)]


def _placed(document: Document, finding: Finding) -> Problem:
    where = document.key_mark if finding.at_key else document.mark
    return Problem(where(finding.path), finding.message)


def _validated(data: Any) -> tuple[Spec | None, list[Finding]]:
    """Return the Spec of `data` without what was refused, and what was refused."""
    found: list[Finding] = []
    for _ in range(ROUNDS):
        try:
            return Spec.model_validate(data), found
        except ValidationError as error:
            aside = {finding.path for finding in found}
            fresh = [wording.finding(each) for each in error.errors()]
            found += [finding for finding in fresh if finding.path not in aside]
            data = _without(data, [finding.path for finding in fresh], ())
    return None, found


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
