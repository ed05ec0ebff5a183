"""The commands about the declaration: validate, schema, init, export graph."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from imgpipe.cli import declare, export
from imgpipe.errors import UsageError
from tests.photos import ROOT

BROKEN = "version: 1\nname: x\nsteps: {a: {exif: true, memry: 1}}\n"


def run(*args: str | Path) -> Result:
    app = typer.Typer()
    declare.register(app)
    export.register(app)
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_validate_says_for_which_environments_the_pipeline_is_valid() -> None:
    done = run("validate", "--file", ROOT / "pipeline.yaml")
    assert done.exit_code == 0
    assert done.stdout.endswith("pipeline.yaml is valid for local\n")


def test_validate_checks_every_environment_that_is_declared(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    prod = "environments: {prod: {lambda: {memory: 1}}}\n"
    file.write_text(BROKEN.replace(", memry: 1", "") + prod)
    assert run("validate", "--file", file, "--env", "local").exit_code == 0
    every = run("validate", "--file", file)
    assert isinstance(every.exception, UsageError)
    assert every.exception.exit_code == 2
    assert f"{file}:4:40: `memory`: it must be" in str(every.exception)


def test_validate_reports_places_as_json(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(BROKEN)
    done = run("validate", "--file", file, "--json")
    assert done.exit_code == 2
    [problem] = json.loads(done.stdout)["problems"]
    assert (problem["line"], problem["column"]) == (3, 25)
    assert "unknown key `memry`" in problem["message"]


def test_validate_reports_broken_yaml_as_json_too(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text("a: [1\n")
    done = run("validate", "--file", file, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["valid"] is False


def test_schema_knows_every_key_of_the_default_pipeline() -> None:
    schema = json.loads(run("schema").stdout)
    assert set(schema["properties"]) >= {"version", "name", "uploads", "steps", "environments"}
    assert schema["required"] == ["version", "name", "steps"]
    assert schema["additionalProperties"] is False


def test_every_reference_of_the_schema_resolves() -> None:
    text = run("schema").stdout
    names = set(re.findall(r'"#/\$defs/(\w+)"', text))
    assert names <= set(json.loads(text)["$defs"])


@pytest.mark.capability("S4-12")
def test_init_writes_a_project_that_is_valid(tmp_path: Path) -> None:
    assert run("init", tmp_path).exit_code == 0
    assert (tmp_path / "pipeline.yaml").read_text() == (ROOT / "pipeline.yaml").read_text()
    for source in ("images", "tidy", "writer", "notifier"):
        assert (tmp_path / "lambdas" / source / "handler.py").is_file()
    assert run("validate", "--file", tmp_path / "pipeline.yaml").exit_code == 0


def test_init_run_again_changes_nothing(tmp_path: Path) -> None:
    run("init", tmp_path)
    assert run("init", tmp_path).exit_code == 0


def test_init_never_overwrites_work_unless_it_is_told_to(tmp_path: Path) -> None:
    run("init", tmp_path)
    mine = tmp_path / "pipeline.yaml"
    mine.write_text("mine")
    (tmp_path / "lambdas" / "tidy" / "handler.py").unlink()
    refused = run("init", tmp_path)
    assert isinstance(refused.exception, UsageError)
    assert "--force" in refused.exception.hint
    assert mine.read_text() == "mine"
    assert not (tmp_path / "lambdas" / "tidy" / "handler.py").exists()
    assert run("init", tmp_path, "--force").exit_code == 0
    assert mine.read_text() != "mine"


TEMPLATES = [
    "photo-studio",
    "fan-out",
    "fan-out-delete",
    "image-tinter",
    "notify",
    "point-to-point",
    "queued",
    "resizer",
    "thumbnail-metadata",
]


def test_init_lists_its_templates_each_with_a_line_and_its_diagram() -> None:
    listed = json.loads(run("init", "--list", "--json").stdout)
    assert [one["name"] for one in listed] == TEMPLATES
    drawn = {one["name"]: one["diagram"] for one in listed}
    assert "created → queue resize → function resize" in drawn["resizer"]
    shown = " ".join(run("init", "--list").stdout.split())
    assert all(one["description"] in shown for one in listed)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_valid_wherever_it_is_written_and_brings_what_it_needs(
    tmp_path: Path, name: str
) -> None:
    assert run("init", tmp_path, "--template", name).exit_code == 0
    assert run("validate", "--file", tmp_path / "pipeline.yaml").exit_code == 0
    assert (tmp_path / "lambdas/images/handler.py").is_file()
    tidies = "removed" in (tmp_path / "pipeline.yaml").read_text()
    assert (tmp_path / "lambdas/tidy").is_dir() == tidies


def test_init_of_an_unknown_template_names_the_known_ones(tmp_path: Path) -> None:
    refused = run("init", tmp_path, "--template", "nope")
    assert "photo-studio" in str(refused.exception)


@pytest.mark.parametrize(
    ("form", "beginning"), [("text", "photo-studio"), ("mermaid", "flowchart"), ("svg", "<svg")]
)
def test_export_graph_draws_without_a_cloud(form: str, beginning: str) -> None:
    done = run("export", "graph", "--file", ROOT / "pipeline.yaml", "--format", form)
    assert done.stdout.startswith(beginning)


def test_export_graph_writes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "pipeline.svg"
    run("export", "graph", "--file", ROOT / "pipeline.yaml", "--format", "svg", "--out", out)
    assert out.read_text().endswith("</svg>\n")
