"""What a person meets when the pipeline isn't up, or the embedded cloud is gone: a reason and the next command."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = pytest.mark.e2e


def test_an_upload_that_nobody_would_hear_of_is_refused(own_studio: Pipeline) -> None:
    own_studio.run("down", "--yes", "--delete-data")
    refused = own_studio.run("upload", DEMO / "rocket.jpg", code=3)
    assert "it is not up" in refused.err
    assert "hint:  imgpipe up" in refused.err
    unhealthy = own_studio.run("status", "--check", code=3)
    assert "hint:  imgpipe up" in unhealthy.err


def test_a_killed_cloud_is_told_at_once_and_keeps_what_it_accepted(own_studio: Pipeline) -> None:
    own_studio.run("upload", DEMO / "rocket.jpg", "--wait")
    lock = json.loads((own_studio.folder / ".imgpipe" / "cloud.json").read_text())
    os.kill(lock["pid"], signal.SIGKILL)

    def refused() -> bool:  # its port is closed a moment after it was killed
        return "hint:  imgpipe local start" in own_studio.run("status", code=1).err

    assert own_studio.wait_for("word of its end", refused)
    own_studio.run("local", "start")
    row = own_studio.run("metadata", "show", "rocket.jpg", "--json").json
    assert row["status"] == "done"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["upload", "--nosuch"], "No such option: --nosuch"),
        (["metadata", "list", "--limit", "0"], "--limit"),
        (["upload"], "name a file"),
    ],
)
def test_misuse_has_a_reason_a_hint_and_exit_code_2(
    tmp_path: Path, arguments: list[str], why: str
) -> None:
    refused = Pipeline(tmp_path).run(*arguments, code=2)
    assert refused.err.startswith("error: ")
    assert why in refused.err
    assert "hint:  imgpipe" in refused.err


@pytest.mark.xdist_group("studio")
def test_downloads_make_the_folders_they_need(studio: Pipeline, tmp_path: Path) -> None:
    studio.run("upload", DEMO / "rocket.jpg", "--prefix", "folders", "--wait")
    out = tmp_path / "new" / "folder" / "thumb.jpg"
    studio.run("download", "folders/rocket.jpg", "--variant", "thumb", "--out", out)
    assert out.stat().st_size > 1000
