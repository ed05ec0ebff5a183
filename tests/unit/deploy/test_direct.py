"""The function that hands out leave to upload: what it may do, and who may call it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from imgpipe.deploy import limits
from imgpipe.deploy import resources as r
from imgpipe.deploy.graph import Graph
from imgpipe.runtime.settings import Settings
from tests.unit.deploy.declared import SMALLEST, build, declare, problem


def tiny(direct: str, more: str = "") -> Graph:
    return build(declare(f"{SMALLEST}uploads: {{direct: {direct}{more}}}\n"))


def told(graph: Graph) -> Settings:
    [function] = [each for each in graph.of(r.Function) if each.source == "direct"]
    return Settings.loads(dict(function.environment)["IMGPIPE_SETTINGS"])


@pytest.mark.capability("S4-21")
def test_its_role_may_put_uploads_and_nothing_else() -> None:
    graph = tiny("{}")
    [role] = [each for each in graph.of(r.Role) if "-direct-" in each.name]
    allowed = {
        (statement["Sid"], str(statement["Action"]), statement["Resource"])
        for statement in json.loads(role.policy)["Statement"]
    }
    bucket = f"arn:aws:s3:::{graph.uploads_bucket}/incoming/*"
    assert ("WriteUploads", "s3:PutObject", bucket) in allowed
    assert {sid for sid, _, _ in allowed} == {"Log", "WriteUploads"}


def test_without_the_setting_there_is_no_url() -> None:
    assert not build(declare(SMALLEST)).of(r.FunctionUrl)


def test_iam_guards_it_unless_told_otherwise() -> None:
    graph = tiny("{}")
    [url] = graph.of(r.FunctionUrl)
    assert (url.auth, url.origins) == ("AWS_IAM", ())
    assert not [each for each in graph.of(r.Permission) if each.principal == "*"]


def test_for_everybody_both_statements_are_there_that_aws_asks_for() -> None:
    graph = tiny("{auth: none}")
    [url] = graph.of(r.FunctionUrl)
    actions = {each.action for each in graph.of(r.Permission) if each.principal == "*"}
    assert url.auth == "NONE"
    assert actions == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}


def test_it_takes_what_the_pipeline_takes() -> None:
    every = told(tiny("{}")).direct
    assert (every.max_bytes, every.types) == (200_000_000, ("image/*",))
    own = told(tiny("{bytes: 5MB, types: [image/png], expires: 1m}", ", suffixes: [png]")).direct
    assert (own.max_bytes, own.types, own.life_s) == (5_000_000, ("image/png",), 60)
    assert own.endings == (".png", ".PNG", ".Png")


def test_who_is_only_called_cannot_loop_but_who_is_also_fed_can() -> None:
    graph = tiny("{}")
    assert list(limits.loops(graph)) == []
    [url] = graph.of(r.FunctionUrl)
    fed = r.Permission(
        function=url.function, statement_id="x", principal="s3.amazonaws.com", source_arn="arn:x"
    )
    looping = replace(graph, resources={**graph.resources, fed.key: fed})
    assert len(list(limits.loops(looping))) == 1


def test_an_alarm_tells_when_it_fails() -> None:
    names = {each.name for each in tiny("{}").of(r.Alarm)}
    assert "tiny-local-direct-errors" in names


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("direct: {types: [text/html]}", "no type of image"),
        ("direct: {}, events: [put]", "arrive as `post`"),
        ("direct: {bytes: 5MB}, limits: {bytes: 1MB}", "uploaded and then rejected"),
    ],
)
def test_what_cannot_work_is_refused(setting: str, fault: str) -> None:
    assert fault in problem(f"{SMALLEST}uploads: {{{setting}}}\n")


def test_pages_of_whole_origins_may_call_it() -> None:
    origins = '["https://photos.studio.photo", "http://localhost:*"]'
    [url] = tiny("{auth: none}", f", origins: {origins}").of(r.FunctionUrl)
    assert url.origins == ("https://photos.studio.photo",)


def test_no_step_may_be_called_like_it() -> None:
    assert "the pipeline itself uses" in problem(SMALLEST.replace("  thumb:", "  direct:"))
