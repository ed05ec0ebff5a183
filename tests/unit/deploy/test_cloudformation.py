"""The exported template: what cfn-lint says of it, and that nothing of one account or Region is left in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imgpipe.deploy import graph, spec, steps
from imgpipe.deploy import resources as r
from imgpipe.deploy.export import cloudformation
from imgpipe.deploy.graph import Graph
from tests.photos import ROOT
from tests.unit.deploy.declared import SMALLEST, declare

WHERE = {"account": cloudformation.ACCOUNT, "region": cloudformation.REGION}
PROD = "environments: {prod: {region: eu-west-1}}\n"


def symbolic(declared: spec.Spec, environment: str = "prod") -> Graph:
    hashes = dict.fromkeys(steps.sources(declared), "abc")
    return graph.build(declared, environment, **WHERE, code_hashes=hashes)


def studio() -> Graph:
    return symbolic(spec.load(ROOT / "pipeline.yaml", "local"))


def made(of: Graph) -> dict[str, Any]:
    return cloudformation.template(of, "v1")


def linted(file: Path) -> str:
    """Return what cfn-lint says, informational rules included."""
    run = "import sys; from cfnlint import runner; sys.exit(runner.main())"
    arguments = ["--include-checks", "I", "--", str(file)]
    command = [sys.executable, "-c", run, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


PIPELINES = {
    "studio": studio,
    "smallest": lambda: symbolic(declare(SMALLEST + PROD, "prod")),
    "suffixes, a worker's queue, text messages": lambda: symbolic(
        declare(
            SMALLEST
            + "  slow: {via: queue, variants: {big: {width: 3000}}, lambda: {reserved: 3, window: 5s}}\n"
            + "uploads: {suffixes: [jpg, png]}\n"
            + 'notify: {completed: {sms: ["+447700900123"], email: [a@b.photo]}}\n'
            + PROD,
            "prod",
        )
    ),
}


@pytest.mark.capability("S3-4")
@pytest.mark.parametrize("name", PIPELINES)
def test_cfn_lint_finds_nothing(name: str, tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    file.write_text(cloudformation.text(PIPELINES[name](), "v1"))
    assert linted(file) == ""


def test_cfn_lint_would_find_something(tmp_path: Path) -> None:
    template = made(studio())
    template["Resources"]["QueueEnhance"]["Properties"]["VisibilityTimeout"] = "for long"
    file = tmp_path / "template.json"
    file.write_text(json.dumps(template))
    assert "E3012" in linted(file)


def test_it_names_no_account_and_no_region() -> None:
    text = cloudformation.text(studio(), "v1")
    assert not re.search(r"\d{12}", text)
    assert "us-east-1" not in text
    assert "arn:aws:" not in text


def test_every_resource_is_in_it_and_its_needs_go_first() -> None:
    of = studio()
    entries = made(of)["Resources"]
    notifications = len(of.of(r.Notification))
    policies = sum(len(of.of(kind)) for kind in (r.Bucket, r.Topic, r.Queue))
    assert len(entries) == len(of.resources) - notifications + policies
    for name, entry in entries.items():
        for first in entry.get("DependsOn", ()):
            assert first in entries, name


def test_s3_speaks_only_when_everything_listens() -> None:
    entries = made(studio())["Resources"]
    first = set(entries["BucketUploads"]["DependsOn"])
    heard = {"AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::Lambda::Permission"}
    wanted = {
        name
        for name, entry in entries.items()
        if entry["Type"] in heard and not re.search("Alarms|Notices|Completed", name)
    }
    assert wanted <= first


def test_buckets_and_table_stay_when_the_stack_goes() -> None:
    kept = {
        entry["Type"]
        for entry in made(studio())["Resources"].values()
        if entry.get("DeletionPolicy") == "Retain"
    }
    assert kept == {"AWS::S3::Bucket", "AWS::DynamoDB::Table"}


def test_a_text_of_ours_that_looks_like_a_parameter_stays_a_text() -> None:
    substituted = cloudformation._substituted("${AWS::Region}/${name}")
    assert substituted == {"Fn::Sub": "${AWS::Region}/${!name}"}
    assert cloudformation._substituted("${name}") == "${name}"
