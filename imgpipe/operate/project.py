"""A project: a pipeline's declaration, the graph of its resources in one environment, and the cloud it lives in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe import cloud

if TYPE_CHECKING:
    from imgpipe.cloud import Cloud
    from imgpipe.deploy.graph import Graph
    from imgpipe.deploy.spec import Spec


ACCOUNT, REGION = "123456789012", "us-east-1"
"""Stand-ins, where no cloud is asked for the real ones."""


@dataclass(frozen=True, slots=True)
class Project:
    """Everything a verb needs. `folder` holds pipeline.yaml, `lambdas/` and, for `local`, the embedded cloud's data."""

    folder: Path
    spec: Spec
    graph: Graph
    cloud: Cloud


def open_project(file: Path, environment: str) -> Project:
    """Read `file` and connect to `environment`.

    Raises UsageError for a missing or broken file, UnreachableError when the embedded cloud isn't running,
    CredentialsError when AWS doesn't know us.
    """
    from imgpipe.deploy import graph, package, spec

    declared = spec.load(file, environment)
    folder = file.resolve().parent
    there = connect(declared, folder, environment)
    try:
        region, account = there.region, there.account
    except Exception as error:
        raise cloud.explain(error, f"environment {environment}") from error
    hashes = package.code_hashes(declared, folder)
    built = graph.build(declared, environment, account=account, region=region, code_hashes=hashes)
    return Project(folder, declared, built, there)


def connect(declared: Spec, folder: Path, environment: str) -> Cloud:
    """Return the cloud of `environment`: the only place that asks whether it is the embedded one."""
    if environment == cloud.LOCAL:
        return cloud.Cloud(cloud.local_target(folder))
    chosen = declared.environments[environment]
    return cloud.Cloud(cloud.aws_target(environment, chosen.profile, chosen.region))


def offline(file: Path, environment: str) -> Graph:
    """Return the graph of `file` without asking a cloud: account and Region are stand-ins, and no source is hashed.

    Raises UsageError for a missing or broken file.
    """
    from imgpipe.deploy import graph, spec, steps

    declared = spec.load(file, environment)
    hashes = dict.fromkeys(steps.sources(declared), "")
    region = declared.environments[environment].region or REGION
    return graph.build(declared, environment, account=ACCOUNT, region=region, code_hashes=hashes)
