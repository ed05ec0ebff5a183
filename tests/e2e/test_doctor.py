"""`imgpipe doctor` on a live pipeline: silent once addresses are confirmed; faults named; mended by what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PREFIX = "photo-studio-local"


@pytest.mark.capability("S1-16", "S4-17", "S4-18", "X9")
def test_faults_are_named_and_mended_by_the_command_that_is_told(
    own_studio: Pipeline, tmp_path: Path
) -> None:
    own_studio.run("upload", DEMO / "rocket.jpg", "--wait")
    unconfirmed = own_studio.run("doctor", "--json", code=3).json
    assert {one["id"] for one in unconfirmed} == {"unconfirmed-mail"}
    for one in unconfirmed:
        own_studio.run(*one["command"].split()[1:])
    healthy = own_studio.run("doctor").out
    assert healthy.startswith("ok  44 of 44 checks found nothing wrong")

    outputs = own_studio.run("outputs", "--json").json
    bucket = outputs["uploads_bucket"]
    assert own_studio.run("doctor", "--bucket", bucket, "--json").json == []

    _break(own_studio, outputs)
    found = {one["id"]: one for one in own_studio.run("doctor", "--json", code=3).json}
    assert found["trigger-permission"]["what"].endswith("function photo-studio-local-thumbs")
    assert found["stuck-visibility"]["severity"] == "broken"
    assert found["stuck-permission"]["command"] == found["drift"]["advice"].removeprefix("then ")
    assert set(found) == {"trigger-permission", "stuck-visibility", "stuck-permission", "drift"}

    alone = tmp_path / "alone"
    shutil.copytree(own_studio.folder / ".imgpipe", alone / ".imgpipe", ignore=_all_but_the_lock)
    theirs = Pipeline(alone).run("doctor", "--bucket", bucket, "--json", code=3).json
    assert {one["id"] for one in theirs} == set(found) - {"drift"}
    assert all(not (one["command"] or "").startswith("imgpipe") for one in theirs)

    own_studio.run("up", "--yes")
    own_studio.wait_for(  # a mapping says what its last look at the queue came to until it looks again
        "silence", lambda: own_studio.run("doctor", "--json", code=None).json == []
    )


def _all_but_the_lock(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name != "cloud.json"]


def _break(studio: Pipeline, outputs: dict[str, Any]) -> None:
    studio.client("lambda").remove_permission(
        FunctionName=f"{PREFIX}-thumbs", StatementId="sns-uploaded"
    )
    studio.client("sqs").set_queue_attributes(
        QueueUrl=outputs["enhance_queue_url"], Attributes={"VisibilityTimeout": "5"}
    )
    iam = studio.client("iam")
    role = next(
        one["RoleName"]
        for one in iam.list_roles(PathPrefix="/imgpipe/")["Roles"]
        if one["RoleName"].startswith(f"{PREFIX}-writer")
    )
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        kept = [one for one in policy["Statement"] if one.get("Sid") != "Receive"]

        iam.put_role_policy(
            RoleName=role,
            PolicyName=name,
            PolicyDocument=json.dumps({**policy, "Statement": kept}),
        )
