"""What a rollback without a name undoes: the last `up`, and no more than that. On moto."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from imgpipe.deploy.providers.lambda_function import Functions
from imgpipe.deploy.resources import Function
from imgpipe.errors import DeniedError, MissingError
from imgpipe.operate import last_up, ops, versions
from imgpipe.operate.project import Project
from imgpipe.operate.provision import site_of
from tests.providers.conftest import BuiltZip
from tests.refusing import refuse
from tests.studio import create_buckets, studio

pytestmark = pytest.mark.capability("S3-7")
NAMES = ("images", "thumbs")
LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{**LAMBDA, "Action": "sts:AssumeRole"}]})


class Pipeline:
    """Two functions, brought to what each `up` wants as `provision.up` does it."""

    def __init__(self, project: Project, built: BuiltZip) -> None:
        self.project, self._built = project, built
        site = replace(site_of(project), pause=lambda _: None)
        self.functions = Functions(replace(site, archive_of=lambda _: built))
        short = {each.function: each.name for each in project.graph.branches}
        of = {short.get(each.name, ""): each for each in project.graph.of(Function)}
        self.now = {name: of[name] for name in NAMES}

    def up(self, **wanted: Function) -> None:
        there = self.live
        for name, function in wanted.items():
            if before := there.get(name):
                self.functions.update(function, before)
            else:
                self.functions.create(function)
        created = [each.name for name, each in wanted.items() if name not in there]
        words = [f"{each.key}: changed" for each in wanted.values()]
        versions.record(
            self.project,
            list(wanted.values()),
            lambda _: self._built,
            words=words,
            created=created,
        )
        self.now |= wanted

    @property
    def live(self) -> dict[str, Function]:
        found = {name: list(self.functions.read(it.name, {})) for name, it in self.now.items()}
        return {name: some[0] for name, some in found.items() if some}

    def undone(self) -> list[tuple[str, int]]:
        known = versions.listed(self.project)
        back = versions.before_last_up(known, last_up.read(self.project))
        return [(it.name, it.number) for it in back]

    def running(self) -> Sequence[tuple[str, int]]:
        return [(it.name, it.number) for it in versions.listed(self.project) if it.current]


@pytest.fixture
def pipeline(clients: object, built: BuiltZip) -> Pipeline:
    project = studio()
    create_buckets(project)
    made = Pipeline(project, built)
    for function in made.now.values():
        project.cloud.client("iam").create_role(
            RoleName=function.role, AssumeRolePolicyDocument=TRUST, Path="/imgpipe/"
        )
    return made


def test_an_up_that_changed_no_version_is_not_undone_as_the_one_before(pipeline: Pipeline) -> None:
    pipeline.up(**pipeline.now)
    slower = replace(pipeline.now["thumbs"], timeout_s=77)
    pipeline.up(thumbs=slower)
    assert pipeline.undone() == [("thumbs", 1)]
    since = {(it.name, it.number): it.at for it in versions.listed(pipeline.project)}

    pipeline.up(thumbs=replace(slower, reserved_concurrency=20))
    assert {(it.name, it.number): it.at for it in versions.listed(pipeline.project)} == since
    assert pipeline.running() == [("images", 1), ("thumbs", 2)]
    with pytest.raises(MissingError, match=r"changed no function's version.*thumbs: changed"):
        pipeline.undone()


def test_a_rollback_and_an_up_that_takes_it_away_are_told_apart(pipeline: Pipeline) -> None:
    pipeline.up(**pipeline.now)
    with pytest.raises(MissingError, match="nothing was there before"):
        pipeline.undone()
    slower = replace(pipeline.now["thumbs"], timeout_s=77)
    pipeline.up(thumbs=replace(slower, reserved_concurrency=9))
    [first] = [it for it in versions.listed(pipeline.project, "thumbs") if it.number == 1]
    versions.rollback(pipeline.project, site_of(pipeline.project), first)
    assert pipeline.live["thumbs"].reserved_concurrency == 9  # no part of a version
    assert pipeline.running() == [("images", 1), ("thumbs", 1)]

    pipeline.up(thumbs=slower)  # brings back what pipeline.yaml says
    assert pipeline.undone() == [("thumbs", 1)]


def test_what_may_not_be_kept_is_named(pipeline: Pipeline) -> None:
    allow = refuse(pipeline.project.cloud.client("s3"), "PutObject")
    with pytest.raises(DeniedError, match=r"code ops/code/.*PutObject"):
        pipeline.up(**pipeline.now)
    allow()
    pipeline.up(**pipeline.now)
    assert pipeline.running() == [("images", 1), ("thumbs", 1)]


def test_an_old_version_that_may_not_be_deleted_is_named(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "KEPT", 1)
    pipeline.up(**pipeline.now)
    allow = refuse(pipeline.project.cloud.client("lambda"), "DeleteFunction")
    with pytest.raises(DeniedError, match=r"version 1 of .*thumbs.*DeleteFunction"):
        pipeline.up(thumbs=replace(pipeline.now["thumbs"], timeout_s=77))
    allow()
    pipeline.up(thumbs=replace(pipeline.now["thumbs"], timeout_s=78))
    assert [it.number for it in versions.listed(pipeline.project, "thumbs")] == [3]


def test_versions_go_with_their_function(pipeline: Pipeline) -> None:
    slower = {name: replace(each, timeout_s=77) for name, each in pipeline.now.items()}
    pipeline.up(**pipeline.now)
    before = list(pipeline.now.values())
    pipeline.up(**slower)
    for function in before:
        pipeline.functions.delete(function)
    assert versions.listed(pipeline.project) == []  # a `down` that kept the data

    pipeline.up(**pipeline.now)
    known = versions.listed(pipeline.project)
    assert [(it.name, it.number, it.current) for it in known] == [
        ("images", 1, True),
        ("thumbs", 1, True),
    ]
    assert {it.function.timeout_s for it in known} == {77}
    with pytest.raises(MissingError, match="nothing was there before"):
        pipeline.undone()
    with pytest.raises(MissingError, match="version 2 isn't known"):
        versions.target(known, "thumbs", 2)
    assert len(list(ops.names(pipeline.project, versions.FOLDER))) == len(NAMES)


def test_a_version_that_was_deleted_by_hand_is_not_offered(pipeline: Pipeline) -> None:
    pipeline.up(**pipeline.now)
    pipeline.up(thumbs=replace(pipeline.now["thumbs"], timeout_s=77))
    name = pipeline.now["thumbs"].name
    pipeline.project.cloud.client("lambda").delete_function(FunctionName=name, Qualifier="1")
    known = versions.listed(pipeline.project, "thumbs")
    assert [it.number for it in known] == [2]
    with pytest.raises(MissingError, match="isn't known"):
        versions.target(known, "thumbs", None)


def test_only_functions_that_went_to_another_version_are_undone(pipeline: Pipeline) -> None:
    pipeline.up(**pipeline.now)
    slower = {name: replace(each, timeout_s=77) for name, each in pipeline.now.items()}
    pipeline.up(**slower)
    held = replace(slower["images"], reserved_concurrency=5)
    pipeline.up(images=held, thumbs=replace(slower["thumbs"], memory_mb=3008))
    assert pipeline.undone() == [("thumbs", 2)]
