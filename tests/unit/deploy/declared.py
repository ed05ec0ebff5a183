"""Pipelines for tests, from text as a person writes it to what is made of it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from imgpipe.deploy import graph, spec, steps, yaml_source
from imgpipe.deploy.graph import Graph
from imgpipe.deploy.problems import SpecError
from imgpipe.deploy.spec import Spec
from tests.photos import ROOT

FILE = Path("pipeline.yaml")
ACCOUNT, REGION = "123456789012", "eu-west-1"

SMALLEST = """\
version: 1
name: tiny
steps:
  thumb: {via: function, variants: {thumb: {width: 200}}}
"""


def declare(text: str, environment: str = "local", folder: Path | None = None) -> Spec:
    """Return the Spec of `text`."""
    file = (folder or ROOT) / FILE
    return spec.parse(yaml_source.parse(dedent(text), file), environment)


def problems(text: str, environment: str = "local", folder: Path | None = None) -> list[str]:
    """Return what is wrong with `text`, each as `line:column: message`."""
    with pytest.raises(SpecError) as caught:
        declare(text, environment, folder)
    return [f"{mark.line}:{mark.column}: {message}" for mark, message in caught.value.problems]


def problem(text: str, environment: str = "local", folder: Path | None = None) -> str:
    """Return the one thing that is wrong with `text`."""
    [only] = problems(text, environment, folder)
    return only


def build(made: Spec, environment: str = "local") -> Graph:
    hashes = {source: f"hash-of-{source}" for source in steps.sources(made)}
    return graph.build(made, environment, account=ACCOUNT, region=REGION, code_hashes=hashes)


def studio(environment: str = "local") -> Graph:
    """Return the default pipeline's graph."""
    return build(spec.load(ROOT / "pipeline.yaml", "local"), environment)
