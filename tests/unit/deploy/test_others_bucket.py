"""Uploads in a bucket that was there before, and results beside them in the same bucket."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.deploy import diagram, limits
from imgpipe.deploy import resources as r
from imgpipe.deploy.export import cloudformation, terraform
from imgpipe.deploy.problems import SpecError
from imgpipe.errors import UsageError
from tests.unit.deploy.declared import build, declare, problem

PIPELINE = """\
version: 1
name: tiny
uploads: {uploads}
steps:
  thumb: {{via: function, variants: {{thumb: {{width: 200}}}}}}
  tidy: {{on: removed}}
notify: {{completed: {{email: [me@example.org]}}}}
"""


def tiny(uploads: str) -> str:
    return PIPELINE.format(uploads=uploads)


def written(graph: object) -> set[str]:
    """Return every place that any role may put objects to."""
    roles = graph.of(r.Role)  # type: ignore[attr-defined]
    return {
        f"{bucket}/{prefix}" for role in roles for bucket, prefix in limits.written(role.policy)
    }


def test_a_bucket_that_was_there_is_only_told_to_announce() -> None:
    graph = build(declare(tiny("{bucket: my-photos}")))
    about = [one for one in graph.resources.values() if one.key.name == "my-photos"]
    assert {type(one) for one in about} == {r.ExistingBucket, r.Notification}
    assert [one.name for one in graph.of(r.Bucket)] == [graph.variants_bucket]
    assert graph.uploads_bucket == graph.outputs()["uploads_bucket"] == "my-photos"
    [topic] = [one for one in graph.of(r.Topic) if one.name.endswith("-uploaded")]
    assert "arn:aws:s3:::my-photos" in topic.policy
    assert "arn:aws:s3:::my-photos/incoming/*" in graph.of(r.Role)[0].policy


def test_an_environment_may_have_a_bucket_of_its_own_all_the_same() -> None:
    text = tiny("{bucket: my-photos}") + "environments: {local: {uploads: {bucket: null}}}\n"
    assert build(declare(text)).uploads_bucket.startswith("tiny-local-uploads-")


@pytest.mark.parametrize("name", ["My-Photos", "a", "photos_1", "a..b", "x" * 64])
def test_what_is_no_buckets_name_is_refused(name: str) -> None:
    assert "is no bucket's name" in problem(tiny(f"{{bucket: {name}}}"))


@pytest.mark.parametrize("export", [cloudformation.template, terraform.text])
def test_no_export_takes_over_anothers_notifications(export: object) -> None:
    graph = build(declare(tiny("{bucket: my-photos}")))
    with pytest.raises(UsageError, match="would replace all its notifications"):
        export(graph, "v1")  # type: ignore[operator]


@pytest.mark.capability("S1-8", "X8")
def test_results_beside_the_uploads_are_written_where_nothing_listens() -> None:
    graph = build(declare(tiny("{outputs: processed/}")))
    assert written(graph) == {f"{graph.uploads_bucket}/processed/thumb/"}
    assert list(limits.loops(graph)) == []
    assert {rule.prefix for one in graph.of(r.Notification) for rule in one.rules} == {"incoming/"}
    [tidy] = [role for role in graph.of(r.Role) if "tidy" in role.name]
    deleted = [it for it in json.loads(tidy.policy)["Statement"] if it["Sid"] == "DeleteVariants"]
    assert deleted[0]["Resource"] == f"arn:aws:s3:::{graph.uploads_bucket}/processed/*"
    assert graph.ops_bucket != graph.uploads_bucket


segments = st.text("ab", min_size=1, max_size=2).map("{}/".format)
prefixes = st.lists(segments, min_size=1, max_size=3).map("".join)


@pytest.mark.capability("S1-8", "X8")
@settings(deadline=None, max_examples=60)
@given(uploads=st.one_of(st.just(""), prefixes), outputs=prefixes)
def test_results_may_lie_beside_the_uploads_exactly_if_no_key_is_both(
    uploads: str, outputs: str
) -> None:
    """A key can be below both prefixes if and only if one begins with the other."""
    text = tiny(f'{{prefix: "{uploads}", outputs: "{outputs}"}}')
    if outputs.startswith(uploads) or uploads.startswith(outputs):
        with pytest.raises(SpecError, match="an endless loop"):
            declare(text)
    else:
        assert list(limits.loops(build(declare(text)))) == []


def test_pictures_beside_the_uploads_are_drawn_as_a_box_of_their_own() -> None:
    graph = build(declare(tiny("{outputs: processed/}")))
    assert 'variants[("variants<br><small>processed/</small>")]' in diagram.mermaid(graph)
    assert "function_thumb --> variants" in diagram.mermaid(graph)


def test_what_hands_out_leave_to_upload_is_drawn() -> None:
    graph = build(declare(tiny("{direct: {}}")))
    told = "HTTP (signed calls) → function direct (leave to upload) → bucket uploads"
    assert told in diagram.text(graph)
    assert "function_direct --> bucket_uploads" in diagram.mermaid(graph)
    assert {">HTTP<", ">direct<", ">leave to upload<"} <= set(_texts(diagram.svg(graph)))


def _texts(picture: str) -> list[str]:
    return [f">{each.partition('<')[0]}<" for each in picture.split(">")]


@pytest.mark.parametrize("auth", ["iam", "none"])
def test_the_dashboard_shows_leave_that_was_asked_for(auth: str) -> None:
    graph = build(declare(tiny(f"{{direct: {{auth: {auth}}}}}")))
    [page] = graph.of(r.Dashboard)
    charts = {
        it["properties"]["title"]: it["properties"]["metrics"]
        for it in json.loads(page.body)["widgets"]
        if it["type"] == "metric"
    }
    asked = charts["Leave to upload over HTTP, a minute"]
    assert [each[1:4] for each in asked] == [
        [metric, "FunctionName", "tiny-local-direct"]
        for metric in ("UrlRequestCount", "Url4xxCount", "Url5xxCount")
    ]
    assert any(each[3] == "tiny-local-direct" for each in charts["Errors"])


KMS_KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ENCRYPTED = f'{{bucket: my-photos, kms_key: "{KMS_KEY}", direct: {{}}}}'


def test_a_role_may_use_the_buckets_key_for_what_it_does_there() -> None:
    """Who reads uploads may have them decrypted, who writes some may ask for a data key; through S3 alone."""
    used = {}
    for role in build(declare(tiny(ENCRYPTED))).of(r.Role):
        granted = json.loads(role.policy)["Statement"]
        for one in granted:
            if one["Resource"] == KMS_KEY:
                used[role.name.split("-")[2]] = one["Action"]
                assert list(one["Condition"]["StringEquals"]) == ["kms:ViaService"]
    assert used == {
        "thumb": "kms:Decrypt",
        "tidy": "kms:Decrypt",
        "direct": "kms:GenerateDataKey",
    }


def test_results_beside_the_uploads_are_encrypted_with_the_same_key() -> None:
    beside = ENCRYPTED.replace("direct: {}", "outputs: made/")
    [thumb] = [it for it in build(declare(tiny(beside))).of(r.Role) if "-thumb-" in it.name]
    [key] = [it for it in json.loads(thumb.policy)["Statement"] if it["Resource"] == KMS_KEY]
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_a_key_without_a_bucket_and_an_alias_are_told() -> None:
    assert "there is no `bucket`" in problem(tiny(f'{{kms_key: "{KMS_KEY}"}}'))
    alias = ENCRYPTED.replace("key/1234abcd-12ab-34cd-56ef-1234567890ab", "alias/photos")
    assert "is not the ARN of a KMS key" in problem(tiny(alias))
