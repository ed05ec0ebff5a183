"""Up, plan, down and outputs as a person meets them; killed, run twice at once, beside other people's things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imgpipe.cloud import Cloud, local_target
from tests.e2e.pipeline import Pipeline

pytestmark = pytest.mark.e2e

DYING = """
import os, signal
from botocore.httpsession import URLLib3Session

left, send = [int(os.environ["KILL_AT"])], URLLib3Session.send

def dying(self, request):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return send(self, request)

URLLib3Session.send = dying
"""


@pytest.fixture
def studio_of_one(tmp_path: Path) -> Any:
    """A project whose embedded cloud runs, with nothing in it."""
    pipeline = Pipeline.copy_to(tmp_path)
    try:
        pipeline.run("local", "start")
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


def _start(pipeline: Pipeline, *args: str, **variables: str) -> subprocess.Popen[str]:
    """Start `imgpipe ARGS` with nobody at a terminal."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.Popen(
        [sys.executable, "-m", "imgpipe", *args],
        cwd=pipeline.folder,
        env={**clean, "NO_COLOR": "1", "COLUMNS": "100", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _killed_at(pipeline: Pipeline, call: int, *args: str) -> None:
    """Run a command that kills itself at its n-th request."""
    hook = pipeline.folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(DYING)
    run = _start(pipeline, *args, KILL_AT=str(call), PYTHONPATH=str(hook))
    run.communicate(timeout=120)
    assert run.returncode == -9


def _cloud(pipeline: Pipeline) -> Cloud:
    return Cloud(local_target(pipeline.folder))


@pytest.mark.slow
@pytest.mark.fault("F-1", "F-2", "F-5")
def test_killed_at_any_moment_up_and_down_are_mended_by_running_again(
    studio_of_one: Pipeline,
) -> None:
    cloud = _cloud(studio_of_one)
    theirs = cloud.client("sqs").create_queue(QueueName="photo-studio-local-theirs")["QueueUrl"]
    for call in (90, 190, 200):
        _killed_at(studio_of_one, call, "up", "--yes")
    studio_of_one.run("up", "--yes")
    assert studio_of_one.run("plan", "--check").code == 0

    for call in (120, 250):
        _killed_at(studio_of_one, call, "down", "--yes", "--delete-data")
    studio_of_one.run("down", "--yes", "--delete-data")
    assert "nothing to take down" in studio_of_one.run("down", "--yes").err
    assert cloud.client("sqs").list_queues()["QueueUrls"] == [theirs]
    assert cloud.client("s3").list_buckets()["Buckets"] == []
    assert cloud.client("iam").list_roles(PathPrefix="/imgpipe/")["Roles"] == []


@pytest.mark.slow
@pytest.mark.fault("F-7")
def test_two_at_once_both_end_well(studio_of_one: Pipeline) -> None:
    both = [_start(studio_of_one, "up", "--yes") for _ in range(2)]
    outputs = [run.communicate(timeout=180)[0] for run in both]
    assert [run.returncode for run in both] == [0, 0], outputs
    assert studio_of_one.run("plan", "--check").code == 0


@pytest.mark.slow
@pytest.mark.capability("S0-11")
def test_a_step_that_is_taken_out_goes_with_all_that_is_its_own(studio_of_one: Pipeline) -> None:
    file = studio_of_one.folder / "pipeline.yaml"
    studio_of_one.run("up", "--yes")
    lines = file.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("  enhance:"))
    file.write_text("\n".join([*lines[:start], *lines[start + 4 :]]).replace("60s", "90s"))

    plan = studio_of_one.run("plan", "--json", "--check", code=3).json
    deleted = {(one["kind"], one["name"]) for one in plan["actions"] if one["verb"] == "delete"}
    assert ("function", "photo-studio-local-enhance") in deleted
    assert ("queue", "photo-studio-local-enhance-dlq") in deleted
    assert all("enhance" in name for _, name in deleted)
    reasons = {one["name"]: one["reason"] for one in plan["actions"] if one["kind"] == "queue"}
    assert reasons["photo-studio-local-images"] == "visibility_s 360 -> 540"

    unasked = _start(studio_of_one, "up")
    said, _ = unasked.communicate(timeout=120)
    assert unasked.returncode == 2
    assert "run again with --yes" in said
    studio_of_one.run("up", "--yes")
    assert studio_of_one.run("plan", "--check").code == 0


def test_what_only_builds_on_this_machine_needs_no_yes(studio_of_one: Pipeline) -> None:
    run = _start(studio_of_one, "up")
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert "to create" in said
    assert "imgpipe upload PHOTO --wait" in said


def test_somebody_elses_queue_of_our_name_is_refused_and_kept(studio_of_one: Pipeline) -> None:
    sqs = _cloud(studio_of_one).client("sqs")
    url = sqs.create_queue(QueueName="photo-studio-local-enhance")["QueueUrl"]
    refused = studio_of_one.run("up", "--yes", code=1)
    assert "queue photo-studio-local-enhance: it exists and isn't tagged" in refused.err
    assert "hint:" in refused.err

    studio_of_one.run("down", "--yes")
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]


@pytest.mark.xdist_group("studio")
@pytest.mark.capability("S4-11")
def test_outputs_are_told_as_a_table_as_json_and_bare(studio: Pipeline) -> None:
    everything = studio.run("outputs", "--json").json
    assert everything["table"] == "photo-studio-local-images"
    assert studio.run("outputs", "table", "--raw").out == "photo-studio-local-images\n"
    url = studio.run("outputs", "rejected_queue_url", "--raw").out.strip()
    assert url.startswith(everything["endpoint"])
    sqs = Cloud(local_target(studio.folder)).client("sqs")
    assert sqs.get_queue_attributes(QueueUrl=url)
    assert (
        studio.run("outputs", "table", "--json").out
        == json.dumps({"table": "photo-studio-local-images"}, indent=2) + "\n"
    )
    listed = dict(line.split(maxsplit=1) for line in studio.run("outputs").out.splitlines())
    assert listed == everything

    unknown = studio.run("outputs", "tabel", code=2)
    assert "hint:  imgpipe outputs table" in unknown.err


@pytest.mark.xdist_group("studio")
def test_taking_down_unasked_needs_a_yes(studio: Pipeline) -> None:
    run = _start(studio, "down")
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "to delete" in said
    assert "run again with --yes" in said
    assert studio.run("plan", "--check").code == 0


def test_a_missing_file_starts_no_cloud(tmp_path: Path) -> None:
    refused = Pipeline(tmp_path).run("up", "--yes", code=2)
    assert "there is no such file" in refused.err
    assert not (tmp_path / ".imgpipe").exists()
