"""Failures by kind: grouped, tried with one of each first, archived and put back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.pipeline import Pipeline

PIPELINE = """\
version: 1
name: mend
steps:
  small: {via: queue, variants: {small: {width: 40}}}
lambda: {retries: 2, timeout: 10s}
environments: {local: {lambda: {backoff: 1s}}}
"""
HANDLER = """\
from pathlib import Path
from imgpipe.runtime import image, steps

def make(data, wanted, limits):
    broken = Path(MODE).read_text()
    if b"wide" in data and "wide" in broken:
        raise KeyError(f"no lens {len(data)}")
    if b"tall" in data and "tall" in broken:
        raise RuntimeError(f"pixel {len(data)} is out of reach")
    return image.make(data, wanted, limits)

def handler(event, context):
    return dict(steps.run(event, context, make))
"""
WIDE, TALL = 4, 3

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline in which seven images have failed, in two ways."""
    mode = tmp_path / "mode"
    mode.write_text("wide tall")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    source = tmp_path / "lambdas" / "images"
    source.mkdir(parents=True)
    (source / "handler.py").write_text(f"MODE = {str(mode)!r}\n{HANDLER}")
    (source / "requirements.txt").write_text("pillow\n")
    album = tmp_path / "album"
    album.mkdir()
    for kind, count in (("wide", WIDE), ("tall", TALL)):
        for number in range(count):
            path = album / f"{kind}{number}.jpg"
            Image.new("RGB", (60 + number, 40)).save(path)
            path.write_bytes(path.read_bytes() + kind.encode() + b"." * number)
    pipeline = Pipeline(tmp_path)
    try:
        pipeline.run("up", "--yes")
        pipeline.run("upload", album)
        pipeline.wait_for("dead letters", lambda: len(letters(pipeline)) == WIDE + TALL, 150)
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


def letters(pipeline: Pipeline, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pipeline.run("dlq", "list", "--json", *options).json
    return found


def groups(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    return {group["error"]: group for group in pipeline.run("dlq", "groups", "--json").json}


def done(pipeline: Pipeline) -> set[str]:
    rows = pipeline.run("metadata", "list", "--status", "done", "--json").json
    return {Path(row["key"]).name[:4] for row in rows}


@pytest.mark.capability("S4-4", "X2", "X3", "X14")
def test_kinds_of_failure_are_mended_one_by_one(broken: Pipeline) -> None:
    found = groups(broken)
    assert {error: group["count"] for error, group in found.items()} == {
        "KeyError": WIDE,
        "RuntimeError": TALL,
    }
    wide = found["KeyError"]["id"]
    assert len(letters(broken, "--group", wide)) == WIDE
    assert len(letters(broken, "--key", "album/tall*.jpg")) == TALL
    assert letters(broken, "--older-than", "1h") == []
    assert len(letters(broken, "--newer-than", "1h")) == WIDE + TALL
    assert "no dead letter belongs" in broken.run("dlq", "list", "--group", "zzz", code=1).err

    (broken.folder / "mode").write_text("tall")  # one of the two faults is mended
    run = broken.run("dlq", "redrive", "--canary", "--yes", "--timeout", "60s", code=1)
    assert f"canary {wide} worked" in run.err
    assert f"canary {found['RuntimeError']['id']} failed" in run.err
    broken.wait_for("the wide ones", lambda: done(broken) == {"wide"}, 60)
    broken.wait_for("the tall ones' letters", lambda: len(letters(broken)) == TALL, 60)
    assert set(groups(broken)) == {"RuntimeError"}

    before = {letter["key"] for letter in letters(broken)}
    assert "0 dead letters archived" in broken.run("dlq", "rescue", "--within", "1d").err
    assert f"{TALL} dead letters archived" in broken.run("dlq", "rescue").err
    assert letters(broken) == []
    kept = broken.run("dlq", "rescue", "--list", "--json").json
    assert {letter["key"] for letter in kept} == before
    assert {letter["error"] for letter in kept} == {"RuntimeError"}
    one = kept[0]["id"]
    broken.run("dlq", "rescue", "--back", one)
    assert [letter["key"] for letter in letters(broken)] == [kept[0]["key"]]
    assert f"{TALL - 1} dead letters put back" in broken.run("dlq", "rescue", "--back").err
    assert {letter["key"] for letter in letters(broken)} == before
    assert broken.run("dlq", "rescue", "--list", "--json").json == []

    (broken.folder / "mode").write_text("")
    broken.run("dlq", "redrive", "--canary", "--yes", "--timeout", "60s")
    broken.wait_for("all", lambda: done(broken) == {"wide", "tall"}, 60)
    assert letters(broken) == []

    words = broken.folder / "words.jpg"
    words.write_text("no picture")
    broken.run("upload", words, "--wait", code=1)
    [rejected] = letters(broken)
    told = broken.run("dlq", "redrive").err
    assert "left:" in told
    assert "unchanged" in told
    assert [letter["id"] for letter in letters(broken)] == [rejected["id"]]
    broken.run("dlq", "redrive", "--force", "--yes")
    broken.wait_for("another refusal", lambda: _others(broken, rejected["id"]), 60)


def _others(pipeline: Pipeline, known: str) -> bool:
    """Say whether the one letter is a new one."""
    return [letter["id"] == known for letter in letters(pipeline)] == [False]
