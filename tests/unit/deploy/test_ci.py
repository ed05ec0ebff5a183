"""The exported CI pipelines: valid by the vendors' schemas, with commands that exist and scripts that parse."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from imgpipe.cli.main import build_app
from imgpipe.deploy.export import ci
from imgpipe.errors import UsageError
from tests.unit.deploy.declared import SMALLEST, declare

PROD = "environments: {prod: {region: eu-west-1}, bare: {}}\n"
TEXTS = {
    service: ci.text(declare(SMALLEST + PROD, "prod"), "prod", service) for service in ci.Service
}
SCHEMAS = {"azure": "vendor.azure-pipelines", "github": "vendor.github-workflows"}


def scripts(node: Any) -> Iterator[str]:
    """Yield every shell script of a pipeline."""
    if isinstance(node, dict):
        yield from (node[name] for name in ("run", "bash") if isinstance(node.get(name), str))
        for value in node.values():
            yield from scripts(value)
    elif isinstance(node, list):
        for value in node:
            yield from scripts(value)


def checked(text: str, service: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "pipeline.yml"
    file.write_text(text)
    # Python's own expressions: the schema has escapes that JavaScript's don't know
    transform = ["--regex-variant", "python"]
    if service == "azure":
        transform += ["--data-transform", "azure-pipelines"]
    command = ["-m", "check_jsonschema", "--builtin-schema", SCHEMAS[service], *transform]
    return subprocess.run(
        [sys.executable, *command, str(file)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "service",
    [
        pytest.param("azure", marks=pytest.mark.capability("S3-6")),
        pytest.param("github", marks=pytest.mark.capability("S4-20")),
    ],
)
def test_the_vendors_schema_accepts_it_and_would_refuse_a_mistake(
    service: str, tmp_path: Path
) -> None:
    text = TEXTS[ci.Service(service)]
    done = checked(text, service, tmp_path)
    assert done.returncode == 0, done.stdout
    mistaken = text.replace("steps:", "stpes:")
    assert checked(mistaken, service, tmp_path).returncode == 1


@pytest.mark.parametrize("service", ci.Service)
def test_every_script_is_one_that_bash_can_read(service: ci.Service) -> None:
    found = list(scripts(yaml.safe_load(TEXTS[service])))
    assert len(found) >= 4
    for script in found:
        done = subprocess.run(
            ["bash", "-n"], input=script, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""


@pytest.mark.parametrize("service", ci.Service)
def test_every_command_of_imgpipe_in_it_exists_with_its_options(service: ci.Service) -> None:
    group: Any = typer.main.get_command(build_app())
    parts = [
        part.strip()
        for script in scripts(yaml.safe_load(TEXTS[service]))
        for part in re.split(r"[;{}\n]", script)
    ]
    used = [shlex.split(part)[1:] for part in parts if part.startswith("imgpipe ")]
    used = [words[: words.index(">")] if ">" in words else words for words in used]
    assert {each[0] for each in used} >= {"validate", "plan", "package", "up", "export"}
    for words in used:
        command, rest = group, words
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context("imgpipe", list(rest))


@pytest.mark.capability("S3-6")
@pytest.mark.capability("S4-20")
@pytest.mark.parametrize("service", ci.Service)
def test_it_tests_plans_packages_and_deploys_in_this_order(service: ci.Service) -> None:
    document = yaml.safe_load(TEXTS[service])
    if service is ci.Service.github:
        needs = {name: job.get("needs") for name, job in document["jobs"].items()}
    else:
        needs = {stage["stage"]: stage.get("dependsOn") for stage in document["stages"]}
    assert needs == {"test": None, "plan": "test", "package": "test", "deploy": "package"}


@pytest.mark.capability("S3-7")
@pytest.mark.parametrize("service", ci.Service)
def test_an_earlier_commit_can_be_named_and_artifacts_carry_their_version(
    service: ci.Service,
) -> None:
    document = yaml.safe_load(TEXTS[service])
    if service is ci.Service.github:
        assert document[True]["workflow_dispatch"]["inputs"]["commit"]["required"]
        assert "name: tiny-${{ inputs.commit || github.sha }}" in TEXTS[service]
    else:
        assert [one["name"] for one in document["parameters"]] == ["commit"]
        assert "artifact: tiny-$(Build.BuildId)" in TEXTS[service]


def test_no_expression_of_the_service_is_pasted_into_a_script() -> None:
    """What a stranger may choose, such as a branch's name, reaches a shell only through its environment."""
    for script in scripts(yaml.safe_load(TEXTS[ci.Service.github])):
        assert "${{" not in script
    for script in scripts(yaml.safe_load(TEXTS[ci.Service.azure])):
        assert "$(" not in script
        assert "${{" not in script


def test_an_environment_that_ci_cannot_deploy_is_refused() -> None:
    declared = declare(SMALLEST + PROD)
    with pytest.raises(UsageError, match="on this machine"):
        ci.text(declared, "local", ci.Service.github)
    with pytest.raises(UsageError, match="no Region"):
        ci.text(declared, "bare", ci.Service.github)


@pytest.mark.parametrize("service", ci.Service)
def test_imgpipe_is_installed_from_where_the_project_says_and_the_header_tells_so(
    service: ci.Service,
) -> None:
    text = TEXTS[service]
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert installs
    assert all('"${IMGPIPE_PACKAGE:?' in line for line in installs)
    assert "IMGPIPE_PACKAGE" in "".join(ln for ln in text.splitlines() if ln.startswith("#"))
