"""`via: worker`: the queue and role of a long-running poller, with no function behind them."""

from __future__ import annotations

import json

import pytest

from imgpipe.deploy import resources as r
from imgpipe.deploy.diagram import text
from imgpipe.deploy.graph import dangling
from imgpipe.runtime.settings import Settings
from tests.unit.deploy.declared import ACCOUNT, REGION, build, declare

TINTER = """\
version: 1
name: tinter
steps:
  tint: {via: worker, filters: [{tint: "#c83c32"}], variants: {tinted: {width: 1200}}}
"""
GRAPH = build(declare(TINTER))
P = "tinter-local-"


@pytest.mark.capability("S1-9")
def test_a_worker_step_has_a_queue_with_dead_letters_and_no_function() -> None:
    queue = GRAPH.resources[r.Key("queue", f"{P}tint")]
    assert isinstance(queue, r.Queue)
    assert (queue.dlq, queue.max_receives) == (f"{P}tint-dlq", 5)
    assert {made.name for made in GRAPH.of(r.Function)} == {f"{P}writer"}
    assert {made.queue for made in GRAPH.of(r.Mapping)} == {f"{P}results"}
    assert not [made for made in GRAPH.of(r.LogGroup) if "tint" in made.name.removeprefix(P)[0:4]]
    assert dangling(GRAPH.resources.values()) == []


@pytest.mark.capability("S1-3")
def test_a_worker_is_given_its_queue_and_never_copies_it_by_hand() -> None:
    branch = next(branch for branch in GRAPH.branches if branch.name == "tint")
    told = Settings.loads(branch.environment["IMGPIPE_SETTINGS"])
    assert (branch.via, branch.function, branch.log_group) == ("worker", None, None)
    assert told.queue_url == GRAPH.place.queue_url(f"{P}tint")
    assert told.results_queue_url == GRAPH.place.queue_url(f"{P}results")
    assert told.steps["tint"]["filters"] == [{"tint": "#c83c32"}]
    outputs = GRAPH.outputs()
    assert Settings.loads(outputs["tint_worker_settings"]) == told
    assert outputs["tint_worker_role_arn"].endswith(f"role/imgpipe/{P}tint-{REGION}")
    assert "tint_function" not in outputs


def test_a_workers_role_takes_its_own_messages_and_is_assumed_by_machines_of_the_account() -> None:
    role = GRAPH.resources[r.Key("role", f"{P}tint-{REGION}")]
    assert isinstance(role, r.Role)
    machines, tasks = json.loads(role.trust)["Statement"]
    owner = {"AWS": f"arn:aws:iam::{ACCOUNT}:root", "Service": "ec2.amazonaws.com"}
    assert machines["Principal"] == owner
    assert tasks["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert tasks["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    received = [
        statement["Resource"]
        for statement in json.loads(role.policy)["Statement"]
        if "sqs:ReceiveMessage" in statement["Action"]
    ]
    assert received == [GRAPH.place.queue_arn(f"{P}tint")]


def test_alarms_tell_when_no_worker_comes() -> None:
    names = {alarm.name.removeprefix(P) for alarm in GRAPH.of(r.Alarm)}
    assert {"tint-dlq", "tint-age"} <= names
    assert "tint-errors" not in names


def test_the_drawing_shows_the_workers_behind_their_queue() -> None:
    assert "workers" in text(GRAPH)
