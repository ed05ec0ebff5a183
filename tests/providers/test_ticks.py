"""What `imgpipe watch` asks for at each tick, and what it remembers between two."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from moto import mock_aws

from imgpipe.errors import MissingError
from imgpipe.operate.project import Project
from imgpipe.operate.ticks import METRICS_EVERY_S, RATES_EVERY_S, Watcher, described, ticks
from imgpipe.operate.times import iso
from tests.studio import create_queues, create_table, put_row, result, studio


@pytest.fixture
def project() -> Iterator[Project]:
    with mock_aws():
        made = studio()
        create_table(made)
        create_queues(made)
        yield made


def send(project: Project, queue: str) -> None:
    url = project.graph.place.queue_url(project.graph.queues[queue])
    project.cloud.client("sqs").send_message(QueueUrl=url, MessageBody="x")


def test_a_tick_has_the_queues_and_the_images_that_moved_since_the_last(project: Project) -> None:
    put_row(project, result("incoming/a.jpg", status="retrying", outputs={}))
    send(project, "enhance")
    send(project, "enhance-dlq")
    send(project, "rejected")
    watcher = Watcher(project)
    first = watcher.tick()
    assert [(it["key"], it["status"]) for it in first.images] == [("incoming/a.jpg", "in_flight")]
    assert (first.sample.depths["enhance"], first.sample.dead) == (1, 2)
    steps = {it.name: it for it in first.steps}
    assert (steps["enhance"].waiting, steps["enhance"].dead, steps["enhance"].direct) == (
        1,
        1,
        False,
    )
    assert (steps["thumbs"].waiting, steps["thumbs"].direct) == (None, True)
    assert steps["rejected"].dead == 1
    assert watcher.tick().images == ()
    put_row(project, result("incoming/a.jpg", at="2026-11-21T07:00:09.000Z"))
    assert [it["status"] for it in watcher.tick().images] == ["done"]


def test_rates_and_metrics_are_asked_for_less_often_than_queues(project: Project) -> None:
    at = [0.0]
    watcher = Watcher(project, lambda: at[0])
    assert watcher.tick().rates.done_per_min == 0
    asked: list[str] = []
    for service in ("sqs", "dynamodb", "cloudwatch"):
        project.cloud.client(service).meta.events.register(
            "before-call", lambda model, **_: asked.append(model.name)
        )
    now = iso(datetime.now(UTC))
    put_row(project, result("incoming/new.jpg", uploaded_at=now, at=now))

    def at_time(seconds: float) -> tuple[int, int]:
        at[0], before = seconds, asked.count("GetMetricData")
        done = watcher.tick().rates.done_per_min
        return done, asked.count("GetMetricData") - before

    assert at_time(RATES_EVERY_S - 1) == (0, 0)
    assert asked.count("GetQueueAttributes") == len(project.graph.queues)
    assert at_time(RATES_EVERY_S) == (1, 0)
    assert at_time(METRICS_EVERY_S) == (1, 1)


def test_late_ticks_do_not_pile_up(project: Project) -> None:
    slept: list[float] = []
    moments = iter([0.0, 0.0, 0.0, 0.0, 0.4, 0.4, 7.0, 7.0, 7.0, 7.0])
    found: list[Any] = list(ticks(project, 1.0, 3, slept.append, lambda: next(moments, 9.0)))
    assert len(found) == 3
    assert all(0 <= pause <= 1.0 for pause in slept)


def test_a_pipeline_that_is_not_there_is_an_error_and_no_empty_tick(project: Project) -> None:
    project.cloud.client("dynamodb").delete_table(TableName=project.graph.table)
    with pytest.raises(MissingError):
        Watcher(project).tick()


def test_a_step_is_described_by_what_runs_and_feeds_it(project: Project) -> None:
    told = described(project.graph, "enhance")
    assert list(told) == ["steps", "function", "queue", "dead letters"]
    assert "5 attempts" in told["queue"]
    assert described(project.graph, "thumbs")["queue"] == "none: SNS calls it"
    assert described(project.graph, "rejected") == {"queue": "photo-studio-local-rejected"}
