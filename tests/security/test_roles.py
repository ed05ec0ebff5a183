"""Each role allows what its code does, and nothing that its code can do without."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from imgpipe.deploy.building import Branch
from imgpipe.local.keys import ACCOUNT, REGION
from imgpipe.runtime.errors import Transient
from tests.cloud_fixture import EmbeddedCloud
from tests.security import pipelines
from tests.security.roles import Play, Stage, of_code, rights, without, without_denials

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("security")]
NAMES = [name for name, _ in pipelines.specs()]
SPECS = dict(pipelines.specs())


@pytest.fixture(scope="module")
def stages(embedded_cloud: EmbeddedCloud) -> dict[str, Stage]:
    return {
        name: Stage.set_up(embedded_cloud, pipelines.build(made, ACCOUNT, REGION))
        for name, made in SPECS.items()
    }


def branches(stage: Stage) -> list[Branch]:
    return [*stage.graph.branches, *stage.graph.called]


@pytest.mark.capability("S3-10")
@pytest.mark.parametrize("name", NAMES)
def test_every_handler_works_with_its_own_policy(stages: dict[str, Stage], name: str) -> None:
    stage = stages[name]
    for branch in branches(stage):
        stage.allow(stage.policy(branch))
        Play(stage, branch)()


_TRIED: set[tuple[str, ...]] = set()


def is_new(branch: Branch, policy: str) -> bool:
    """Whether no branch before had this code and these kinds of rights: many differ in their names alone."""
    kind = (branch.source, branch.via, *sorted(f"{it.sid} {it.action}" for it in rights(policy)))
    known = kind in _TRIED
    _TRIED.add(kind)
    return not known


@pytest.mark.capability("S3-10")
@pytest.mark.parametrize("name", NAMES)
def test_every_right_of_a_role_is_needed(stages: dict[str, Stage], name: str) -> None:
    """One action on one resource less, and something fails."""
    stage, idle = stages[name], []
    for branch in branches(stage):
        policy = stage.policy(branch)
        if not is_new(branch, policy):
            continue
        for right in of_code(branch, policy):
            stage.allow(without(policy, right))
            try:
                Play(stage, branch)()
            except (ClientError, AssertionError, Transient):
                continue
            idle.append(f"{branch.name}: {right}")
    assert not idle


@pytest.mark.parametrize("source", ["tidy", "notifier"])
def test_what_a_role_is_denied_it_could_do_otherwise(stages: dict[str, Stage], source: str) -> None:
    """The notes under `ops/` are read and deleted by no function."""
    stage = stages["everything"]
    [branch] = [each for each in branches(stage) if each.source == source]
    bucket, key, policy = stage.graph.variants_bucket, "ops/note.json", stage.policy(branch)
    stage.cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")

    def touch() -> None:
        if source == "tidy":
            stage.store.delete(bucket, [key])
        else:
            stage.store.client("s3").get_object(Bucket=bucket, Key=key)

    stage.allow(policy)
    with pytest.raises((ClientError, Transient)):
        touch()
    stage.allow(without_denials(policy))
    touch()
