"""`imgpipe export terraform --import` on a pipeline that is up: the ids that only the cloud knows."""

from __future__ import annotations

import pytest

from tests.e2e.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("studio")]


def test_what_is_up_is_imported_with_its_live_ids(studio: Pipeline) -> None:
    done = studio.run("export", "terraform", "--import")
    document = done.json
    imports = {one["to"]: one["id"] for one in document["import"]}
    assert "resources are up" in done.err
    for kind in ("aws_lambda_event_source_mapping", "aws_sns_topic_subscription", "aws_sqs_queue"):
        assert any(to.startswith(f"{kind}.") for to in imports)
    mapping = imports["aws_lambda_event_source_mapping.enhance_enhance"]
    assert len(mapping) == 36
    assert "account" not in document["variable"]
    assert all(imports.values())
    people = [one for one in document["resource"]["aws_sns_topic_subscription"] if "email" in one]
    assert people
    waiting = studio.run("status", "--json").json["unconfirmed"]
    imported = [name for name in people if f"aws_sns_topic_subscription.{name}" in imports]
    assert len(imported) == len(people) - len(waiting)
