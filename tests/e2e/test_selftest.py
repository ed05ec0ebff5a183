"""`imgpipe selftest`: passes on a whole pipeline, names what a broken one lacks, and leaves nothing of itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.pipeline import Pipeline
from tests.e2e.test_why import Studio

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.capability("X10")]


def checks(done: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["state"] for check in done["checks"]}


def leftovers(studio: Studio) -> list[str]:
    listed = studio.client("s3").list_object_versions(
        Bucket=studio.outputs["uploads_bucket"], Prefix="incoming/imgpipe-selftest-"
    )
    letters = studio.pipeline.run("dlq", "list", "--json").json
    rows = studio.pipeline.run("metadata", "list", "--json").json
    return [str(it) for it in (*listed.get("Versions", []), *letters, *rows)]


def test_a_self_test_passes_on_a_whole_pipeline_and_says_what_a_broken_one_lacks(
    own_studio: Pipeline,
) -> None:
    studio = Studio(own_studio)
    done = own_studio.run("selftest", "--json", timeout_s=400).json
    assert done["passed"]
    assert set(checks(done).values()) == {"came"}
    assert {"good image", "its outputs", "poison image", "its reason", "its dead letter"} < set(
        checks(done)
    )
    assert checks(done)["alarm"] == checks(done)["cleaned up"] == "came"
    assert leftovers(studio) == []

    studio.pause("enhance")
    broken = own_studio.run("selftest", "--no-alarm", "--timeout", "10s", "--json", code=3).json
    assert checks(broken)["good image"] == "missing"
    assert checks(broken)["cleaned up"] == "came"
    assert leftovers(studio) == []
