"""The exported template: what cfn-lint says of it, and that nothing of one account or Region is left in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgpipe.deploy import graph, spec, steps, templates
from imgpipe.deploy import resources as r
from imgpipe.deploy.export import cloudformation
from imgpipe.deploy.graph import Graph
from tests.photos import ROOT
from tests.providers.samples import EVERYTHING, SAMPLES
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


def delivered(how: str, via: str) -> Graph:
    """Return the graph of a pipeline whose bucket speaks another way."""
    text = SMALLEST.replace("via: function", f"via: {via}")
    return symbolic(declare(f"{text}uploads: {{deliver: {how}}}\n{PROD}", "prod"))


def linted(folder: Path) -> list[dict[str, Any]]:
    """Return what cfn-lint says of the files in `folder`, its informational rules included."""
    run = "import sys; from cfnlint import runner; sys.exit(runner.main())"
    files = [str(file) for file in folder.glob("*.json")]
    arguments = ["--format", "json", "--include-checks", "I", "--", *files]
    command = [sys.executable, "-c", run, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    said: list[dict[str, Any]] = json.loads(done.stdout)
    return said


def template(name: str) -> Graph:
    """Return the graph of a pipeline that comes with imgpipe."""
    return symbolic(spec.load(templates.find(name).file, "local"))


SUFFIXES = (
    SMALLEST
    + "  slow: {via: queue, variants: {big: {width: 3000}}, lambda: {reserved: 3, window: 5s}}\n"
    + "uploads: {suffixes: [jpg, png]}\n"
    + 'notify: {completed: {sms: ["+447911123456"], email: [a@b.photo]}}\n'
    + PROD
)


OPEN = f"""{SMALLEST}
uploads: {{direct: {{auth: none}}, origins: ["https://photos.studio.photo"]}}
{PROD}"""


def pipelines() -> Iterator[tuple[str, Graph]]:
    for known in templates.every():
        yield known.name, template(known.name)
    yield "straight to a queue", delivered("queue", "queue")
    yield "straight to a function", delivered("function", "function")
    yield "by EventBridge", delivered("eventbridge", "queue")
    yield (
        "direct uploads",
        symbolic(declare(f"{SMALLEST}uploads: {{direct: {{}}}}\n{PROD}", "prod")),
    )
    yield "open to pages", symbolic(declare(OPEN, "prod"))
    yield "suffixes, queue and text messages", symbolic(declare(SUFFIXES, "prod"))


@pytest.mark.capability("S3-4")
@pytest.mark.slow
def test_cfn_lint_finds_nothing_but_what_is_broken_on_purpose(tmp_path: Path) -> None:
    for name, graph_of in pipelines():
        (tmp_path / f"{name}.json").write_text(cloudformation.text(graph_of, "v1"))
    broken = made(studio())
    broken["Resources"]["QueueEnhance"]["Properties"]["VisibilityTimeout"] = "for long"
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    found = linted(tmp_path)
    assert {(one["Rule"]["Id"], Path(one["Filename"]).name) for one in found} == {
        ("E3012", "broken.json")
    }


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


def _changes() -> Iterator[tuple[r.Resource, r.Resource]]:
    for sample in SAMPLES:
        for changed in sample.changed:
            yield sample.wanted, changed


def test_no_setting_of_a_resource_is_left_out() -> None:
    """What a provider would change on AWS also changes the template."""
    for before, after in _changes():
        if isinstance(before, r.Permission):  # its statement's account can't be another's
            continue
        one, two = (
            cloudformation.template(_with(studio(), change), "v1") for change in (before, after)
        )
        assert one != two, (before, after)


def _with(of: Graph, resource: r.Resource) -> Graph:
    """Return `of` with `resource` and the samples that it refers to."""
    kept = {**EVERYTHING, resource.key: resource}
    return replace(of, resources=kept)
