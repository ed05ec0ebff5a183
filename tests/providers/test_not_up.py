"""What is said of a pipeline that isn't up, and of one that lacks a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from moto import mock_aws

from imgpipe.errors import MissingError
from imgpipe.operate import download, logs, metadata, rows, status, up, watch
from imgpipe.operate.project import Project
from tests.studio import create_buckets, create_queues, create_table, studio

NOW = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
VERBS: list[Callable[[Project], object]] = [
    lambda project: metadata.show(project, "a.jpg"),
    lambda project: list(rows.by_status(project, ["done"])),
    lambda project: download.find(project, "a.jpg", None),
    lambda project: download.find(project, "a.jpg", "thumb"),
    lambda project: list(watch.samples(project, 0, 1)),
    lambda project: list(logs.since(project, project.graph.branches, NOW)),
    up.refuse_if_down,
]


@pytest.fixture
def project() -> Iterator[Project]:
    with mock_aws():
        yield studio()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_that_the_pipeline_is_not_up(
    project: Project, verb: Callable[[Project], object]
) -> None:
    with pytest.raises(MissingError, match="it is not up in local") as told, up.needed(project):
        verb(project)
    assert told.value.hint == "imgpipe up"


def test_an_image_that_is_not_there_is_told_as_such(project: Project) -> None:
    create_buckets(project)
    create_table(project)
    with pytest.raises(MissingError, match="there is no such upload"), up.needed(project):
        metadata.show(project, "a.jpg")
    with pytest.raises(MissingError, match="not up"), up.needed(project):
        list(watch.samples(project, 0, 1))


def test_a_part_that_is_missing_keeps_its_own_error(project: Project) -> None:
    create_queues(project)
    create_table(project)
    with pytest.raises(MissingError, match="log of"), up.needed(project):
        list(logs.since(project, project.graph.branches, NOW))


def test_a_pipeline_that_is_down_has_one_fault(project: Project) -> None:
    assert status.ask(project).as_json()["faults"] == [
        {"what": "the pipeline is not up", "hint": "imgpipe up"}
    ]
