"""AWS's limits on names, environments and notification entries; and the proof that nothing loops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgpipe.deploy import limits, policies
from imgpipe.deploy import resources as r
from imgpipe.deploy.graph import Graph
from imgpipe.deploy.resources import Key, Rule
from tests.unit.deploy.declared import SMALLEST, problem, problems, studio


def rule(events: str = "s3:ObjectCreated:*", prefix: str = "", suffix: str = "") -> Rule:
    return Rule(id="x", events=(events,), target=Key("topic", "t"), prefix=prefix, suffix=suffix)


@pytest.mark.parametrize(
    ("one", "other", "ambiguous"),
    [
        (rule(), rule(), True),
        (rule(prefix="a/"), rule(prefix="b/"), False),
        (rule(prefix="a/"), rule(prefix="a/b/"), True),
        (rule(prefix="a/", suffix=".jpg"), rule(prefix="a/", suffix=".png"), False),
        (rule(suffix=".jpg"), rule(suffix="g"), True),
        (rule(suffix=".jpg"), rule(prefix="a/"), True),
        (rule("s3:ObjectCreated:Put"), rule("s3:ObjectCreated:*"), True),
        (rule("s3:ObjectCreated:Put"), rule("s3:ObjectCreated:Copy"), False),
        (rule(), rule("s3:ObjectRemoved:*"), False),
    ],
)
@pytest.mark.capability("S2-2")
def test_two_entries_are_ambiguous_when_an_object_could_match_both(
    one: Rule, other: Rule, ambiguous: bool
) -> None:
    assert limits.overlap(one, other) is limits.overlap(other, one) is ambiguous


def test_suffixes_that_contain_each_other_are_told() -> None:
    found = problems(SMALLEST + "uploads: {suffixes: [gz, tar.gz]}\n")
    assert all(line.startswith("5:21: ") and "overlap" in line for line in found)


def test_more_suffixes_than_a_bucket_has_entries_are_told() -> None:
    many = ", ".join(f"f{number}" for number in range(60))
    assert "S3 allows 100 a bucket" in problem(SMALLEST + f"uploads: {{suffixes: [{many}]}}\n")


@pytest.mark.capability("S2-9")
def test_a_fifo_target_is_told() -> None:
    fifo = replace(rule(), target=Key("queue", "orders.fifo"))
    [notification] = studio().of(r.Notification)
    found = list(limits.notification_faults(_with(studio(), replace(notification, rules=(fifo,)))))
    assert found == ["S3 can't notify the FIFO queue `orders.fifo`"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SMALLEST.replace("tiny", "a" * 40), "2:7: AWS allows a bucket's name 63 characters"),
        (SMALLEST.replace("  thumb: {", f"  {'a' * 60}: {{"), "a role's name 64 characters"),
        (SMALLEST.replace("tiny", "sthree-tiny"), "AWS refuses buckets whose name begins"),
    ],
)
def test_names_that_aws_would_refuse_are_told_before_it_does(text: str, told: str) -> None:
    assert any(told in line for line in problems(text))


def test_a_long_step_is_told_where_it_is_written() -> None:
    found = problems(f"{SMALLEST}  {'a' * 70}: {{exif: true}}\n")
    assert {line.split(":")[0] for line in found} == {"5"}


def test_settings_that_lambda_has_no_room_for_are_told_at_their_step() -> None:
    many = ", ".join(f"size-{width}: {{width: {width}}}" for width in range(100, 150))
    told = problem(f"{SMALLEST}  many: {{variants: {{{many}}}}}\n")
    assert told.startswith("5:3: ")
    assert "Lambda allows 4,096" in told


def test_a_role_longer_than_iam_allows_is_told() -> None:
    graph = studio()
    role = graph.of(r.Role)[0]
    found = list(limits.sizes(_with(graph, replace(role, policy="x" * 10_241))))
    assert [finding.path for finding in found] == [("steps", "thumbnail")]


def test_the_default_pipelines_settings_leave_room() -> None:
    for function in studio("a-rather-long-environment").of(r.Function):
        used = sum(len(name) + len(value) for name, value in function.environment)
        assert used < 0.6 * limits.ENVIRONMENT_BYTES


@pytest.mark.capability("S1-8")
def test_no_output_of_the_default_pipeline_can_start_it_again() -> None:
    assert list(limits.loops(studio())) == []


@pytest.mark.parametrize("folder", ["incoming/thumbs", "incoming", "in"])
@pytest.mark.fault("F-40")
def test_a_function_that_could_start_its_own_pipeline_is_told(folder: str) -> None:
    graph = studio()
    role = graph.of(r.Role)[0]
    writes = policies.allow(
        "Loop", ["s3:PutObject"], [f"arn:aws:s3:::{graph.uploads_bucket}/{folder}*"]
    )
    [told] = limits.loops(_with(graph, replace(role, policy=policies.document([writes]))))
    assert "an endless loop" in told


def test_an_output_next_to_the_uploads_is_no_loop() -> None:
    graph = studio()
    role = graph.of(r.Role)[0]
    writes = policies.allow("Ok", ["s3:PutObject"], [f"arn:aws:s3:::{graph.uploads_bucket}/out/*"])
    assert not list(limits.loops(_with(graph, replace(role, policy=policies.document([writes])))))


def _with(graph: Graph, changed: r.Resource) -> Graph:
    return replace(graph, resources={**graph.resources, changed.key: changed})
