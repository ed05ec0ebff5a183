"""A CI pipeline for GitHub or Azure DevOps: the files beside this module, with a pipeline's names filled in.

What is deployed is what was packaged: the zips travel as an artifact that carries the commit, and `up` takes them from
the build folder when their sources' hash is the same. Going back is deploying an earlier commit, whose zips are the
same byte for byte.
"""

from __future__ import annotations

import string
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe import __version__
from imgpipe.cloud import LOCAL
from imgpipe.deploy.graph import LAMBDA_RUNTIME
from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from imgpipe.deploy.spec import Spec

FOLDER = Path(__file__).parent / "pipelines"


class Service(StrEnum):
    azure = "azure"
    github = "github"


class _Blanks(string.Template):
    """`%%name`: what neither YAML, a shell nor the services' own expressions use."""

    delimiter = "%%"


def text(declared: Spec, environment: str, service: Service) -> str:
    """Return the pipeline's file. Raises UsageError for the embedded cloud or an environment without a Region."""
    if environment == LOCAL:
        raise UsageError(
            "environment local",
            "it is on this machine, where CI can't deploy",
            hint="imgpipe export ci --env NAME, of an environment on AWS in pipeline.yaml",
        )
    region = declared.environments[environment].region
    if not region:
        raise UsageError(
            f"environment {environment}",
            "it has no Region, and a CI machine has no profile to take one from",
            hint=f"environments: {{{environment}: {{region: eu-west-1}}}} in pipeline.yaml",
        )
    blanks = {
        "name": declared.name,
        "env": environment,
        "region": region,
        "python": LAMBDA_RUNTIME.removeprefix("python"),
        "version": __version__,
    }
    return _Blanks((FOLDER / f"{service}.yml").read_text()).substitute(blanks)
