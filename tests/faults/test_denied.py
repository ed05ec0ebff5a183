"""A permission to read that is missing: `up` and `down` say which, and go through as soon as it is granted.

`make soak` tries every reading operation (IMGPIPE_SOAK=1); otherwise it is one of each service, and those of objects.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe.errors import DeniedError, ImgpipeError
from tests.e2e.pipeline import Pipeline
from tests.faults import on_moto
from tests.faults.account import differences
from tests.faults.on_moto import World

OTHERWISE = {
    "s3:HeadBucket": "grant s3:ListBucket ",
    "s3:ListMultipartUploads": "grant s3:ListBucketMultipartUploads ",
    "s3:ListObjectVersions": "grant s3:ListBucketVersions ",
    "s3:ListObjectsV2": "grant s3:ListBucket ",
}
"""What is to be granted, where the action isn't called as the call is."""
SOAK = bool(os.environ.get("IMGPIPE_SOAK"))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    logging.disable(logging.WARNING)  # moto looks for Docker, and says so
    yield on_moto.world(tmp_path, "point-to-point", monkeypatch)
    logging.disable(logging.NOTSET)


def told_without(
    world: World, operation: str, command: Callable[[], object]
) -> ImgpipeError | None:
    """Run a command where an operation is denied; return what it said. Anything but our own errors is a failure."""
    world.line.refused = operation
    try:
        command()
    except ImgpipeError as error:
        return error
    finally:
        world.line.refused = ""
    return None


def is_named(operation: str, told: ImgpipeError) -> bool:
    wanted = OTHERWISE.get(operation, operation.partition(":")[2])
    return isinstance(told, DeniedError) and wanted in f"{told.why} {told.hint}"


@pytest.mark.fault("F-14")
def test_each_read_of_up_that_is_denied_is_named_and_up_goes_on_when_it_is_granted(
    world: World,
) -> None:
    with world.fresh():
        world.up()
        world.up()
        wanted, reads = world.snapshot(), sorted(world.line.reads)
    assert "s3:ListObjectsV2" in reads
    services = {each.partition(":")[0]: each for each in reads}
    few = [each for each in reads if "Object" in each or each in services.values()]
    for operation in reads if SOAK else few:
        with world.fresh():
            told = told_without(world, operation, world.up)
            assert told is None or is_named(operation, told), (operation, told, told.hint)
            world.up()
            assert not (found := differences(wanted, world.snapshot())), f"{operation}: {found}"


@pytest.mark.fault("F-14")
def test_each_read_of_down_that_is_denied_is_named_and_down_goes_on_when_it_is_granted(
    world: World,
) -> None:
    with world.fresh():
        world.up()
        world.line.reads.clear()
        world.down()
        reads = sorted(world.line.reads)
    few = [each for each in reads if each in OTHERWISE]
    assert len(few) > 1
    for operation in reads if SOAK else few:
        with world.fresh():
            world.up()
            told = told_without(world, operation, world.down)
            assert told is not None
            assert is_named(operation, told), (operation, told, told.hint)
            world.down()
            assert world.snapshot() == {}, operation


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:ListBucket", "Resource": "*"},
    ],
}


def become(pipeline: Pipeline, user: str, policy: dict[str, Any]) -> None:
    """Give the project the keys of a user of that policy, in place of its own."""
    iam = pipeline.client("iam")
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="all-but", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName=user)["AccessKey"]
    lock = pipeline.folder / ".imgpipe" / "cloud.json"
    keys = {"access_key": made["AccessKeyId"], "secret_key": made["SecretAccessKey"]}
    lock.write_text(json.dumps({**json.loads(lock.read_text()), **keys}))


@pytest.mark.slow
@pytest.mark.fault("F-14")
def test_who_may_not_list_a_bucket_is_told_so_by_every_command_that_would(tmp_path: Path) -> None:
    """What isn't there reads as denied to who may not list: the action to be granted is not that of the call."""
    pipeline = Pipeline.from_template("queued", tmp_path)
    try:
        pipeline.run("local", "start")
        lock = tmp_path / ".imgpipe" / "cloud.json"
        own = lock.read_text()
        become(pipeline, "no-lister", POLICY)
        denied = lock.read_text()
        first = pipeline.run("up", "--yes", code=1).err
        lock.write_text(own)
        pipeline.run("up", "--yes")
        lock.write_text(denied)
        asked = {"up": first}
        for command in ("versions", "audit", "backfill --dry-run"):
            asked[command] = pipeline.run(*command.split(), code=1).err
        lock.write_text(own)
        assert "nothing to change" in pipeline.run("up", "--yes").err
    finally:
        pipeline.run("local", "stop", code=None)
    for command, told in asked.items():
        assert "hint:  grant s3:ListBucket and run again" in told, (command, told)
        assert "Traceback" not in told
    assert "note ops/unnoted.json: GetObject: AccessDenied" in asked["up"]
