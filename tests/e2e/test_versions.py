"""What each `up` put there, and the way back to code that worked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

PIPELINE = """\
version: 1
name: back
steps:
  small: {via: queue, variants: {small: {width: 40}}}
  large: {via: queue, variants: {large: {width: 90}}}
lambda: {retries: 2, timeout: 10s, memory: 1024}
environments: {local: {lambda: {backoff: 1s}}}
"""
GOOD = """\
from imgpipe.runtime import image, steps

def make(data, wanted, limits):
    return image.make(data, wanted, limits)

def handler(event, context):
    return dict(steps.run(event, context, make))
"""
BAD = GOOD.replace(
    "    return image.make", "    raise RuntimeError('a bad day')\n    return image.make"
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def back(tmp_path: Path) -> Iterator[Pipeline]:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    source = tmp_path / "lambdas" / "images"
    source.mkdir(parents=True)
    (source / "handler.py").write_text(GOOD)
    (source / "requirements.txt").write_text("pillow\n")
    pipeline = Pipeline(tmp_path)
    try:
        pipeline.run("up", "--yes")
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


def versions(pipeline: Pipeline, *name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pipeline.run("versions", *name, "--json").json
    return found


@pytest.mark.capability("S3-7")
def test_a_bad_day_is_undone(back: Pipeline) -> None:
    assert {(v["function"], v["version"], v["current"]) for v in versions(back)} == {
        (name, 1, True) for name in ("small", "large", "writer")
    }
    handler = back.folder / "lambdas" / "images" / "handler.py"
    handler.write_text(BAD)
    back.run("up", "--yes")
    assert [(v["version"], v["current"]) for v in versions(back, "small")] == [
        (2, True),
        (1, False),
    ]
    assert [v["version"] for v in versions(back, "writer")] == [1]  # it didn't change

    back.run("upload", DEMO / "rocket.jpg")
    back.wait_for("letters", lambda: len(back.run("dlq", "list", "--json").json) == 2, 90)
    assert "nobody is there" in back.run("rollback", code=2).err
    told = back.run("rollback", "--yes").err
    assert "small is at version 1 again" in told
    assert "writer" not in told
    assert [(v["version"], v["current"]) for v in versions(back, "small")] == [
        (2, False),
        (1, True),
    ]
    assert back.run("plan", "--check", code=3)  # pipeline.yaml and lambdas/ still say otherwise
    back.run("dlq", "redrive", "--yes")
    back.wait_for(
        "the image",
        lambda: back.run("metadata", "rocket.jpg", "--json").json["status"] == "done",
        60,
    )

    [told] = back.run("rollback", "small", "--to", "2", "--yes", "--json").json
    assert (told["function"], told["version"], bool(told["changes"])) == ("small", 2, True)
    assert [(v["version"], v["current"]) for v in versions(back, "small")] == [
        (2, True),
        (1, False),
    ]
    assert "nothing to change" in back.run("rollback", "small", "--to", "2").err
    assert "isn't known" in back.run("rollback", "small", "--to", "9", code=1).err
    assert "the functions are" in back.run("rollback", "nobody", code=2).err
    assert "which function" in back.run("rollback", "--to", "1", code=2).err

    back.run("down", "--yes")  # keeps the bucket, and with it the notes
    assert versions(back) == []
    back.run("up", "--yes")
    assert [v["version"] for v in versions(back, "small")] == [1]
