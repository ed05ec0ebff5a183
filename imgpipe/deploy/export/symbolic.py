"""A pipeline's graph without a cloud: the account and Region are stand-ins or another tool's variables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe.cloud import LOCAL
from imgpipe.deploy import graph, package, spec
from imgpipe.deploy.export.versions import version_of

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Graph
    from imgpipe.deploy.spec import Spec


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported: the declaration, its graph, and the version of the functions' code."""

    spec: Spec
    graph: Graph
    code_version: str


def read(file: Path, environment: str, *, account: str, region: str) -> Source:
    """Return the graph with its code's true hashes. Raises UsageError for a broken file or missing sources."""
    declared = spec.load(file, environment)
    hashes = package.code_hashes(declared, file.resolve().parent)
    built = graph.build(declared, environment, account=account, region=region, code_hashes=hashes)
    target = "host" if environment == LOCAL else declared.lambda_.architecture
    return Source(declared, built, version_of(hashes, target))
