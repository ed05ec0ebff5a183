"""The exported template deploys by itself: CloudFormation makes what `up` makes, and an image goes through it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe.cloud import Cloud, local_target
from tests.e2e.pipeline import Pipeline
from tests.photos import ROOT

pytestmark = pytest.mark.e2e

STACK = "studio"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A photo studio that CloudFormation put up from the exported template."""
    pipeline = Pipeline.copy_to(tmp_path_factory.mktemp("stack"))
    try:
        pipeline.run("local", "start")
        _create(pipeline)
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


def _client(pipeline: Pipeline, service: str) -> Any:
    return Cloud(local_target(pipeline.folder)).client(service)


def _create(pipeline: Pipeline) -> None:
    s3, stacks = _client(pipeline, "s3"), _client(pipeline, "cloudformation")
    s3.create_bucket(Bucket="the-code")
    parameters = pipeline.run("package", "--to", "s3://the-code/releases", "--json").json
    template = pipeline.folder / "template.json"
    pipeline.run("export", "cloudformation", "--out", template)
    s3.upload_file(str(template), "the-code", "template.json")
    stacks.create_stack(
        StackName=STACK,
        TemplateURL=f"{s3.meta.endpoint_url}/the-code/template.json",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    stacks.get_waiter("stack_create_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


@pytest.mark.capability("S3-4")
def test_a_stack_has_the_same_resources_that_up_makes(stack: Pipeline) -> None:
    planned = stack.run("plan", "--json").json["actions"]
    changes = {
        action["name"]: (action["verb"], action["reason"])
        for action in planned
        if action["verb"] != "keep" and action["kind"] != "permission"
    }  # CloudFormation chooses the statement ids
    assert changes == {}


def test_the_functions_may_be_invoked_as_up_allows_it(stack: Pipeline) -> None:
    planned = stack.run("plan", "--json").json["actions"]
    verbs = [action["verb"] for action in planned if action["kind"] == "permission"]
    assert verbs.count("create") == verbs.count("delete") == len(verbs) / 2 > 0


@pytest.mark.capability("S3-4")
def test_an_image_goes_through_a_stack(stack: Pipeline) -> None:
    shutil.copy(ROOT / "demo" / "photos" / "rocket.jpg", stack.folder)
    [done] = stack.run("upload", "rocket.jpg", "--wait", "--json").json
    assert done["status"] == "done"
    assert set(done["outputs"]) == {"enhanced", "large", "medium", "thumb"}


@pytest.mark.capability("S3-7")
def test_the_codes_version_is_the_templates_default_and_is_written_once(
    stack: Pipeline, tmp_path: Path
) -> None:
    again = stack.run("package", "--to", "s3://the-code/releases")
    assert "every zip was there already" in again.err
    version = again.out.splitlines()[1].removeprefix("CodeVersion=releases/")
    template = stack.run("export", "cloudformation").json
    assert template["Parameters"]["CodeVersion"]["Default"] == version


def test_a_bucket_for_the_code_that_is_not_there_is_named(stack: Pipeline) -> None:
    refused = stack.run("package", "--to", "s3://no-such-bucket-here", code=1)
    assert "bucket no-such-bucket-here: it is not there" in refused.err
    assert "s3://" in stack.run("package", "--to", "somewhere", code=2).err
