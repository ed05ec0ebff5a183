"""docs/metadata.md: each fact is there, each setting in it is taken, each command runs."""

import json
import re
import shlex
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from imgpipe.cli import build
from imgpipe.runtime import image, naming
from imgpipe.runtime.image.facts import tags
from imgpipe.runtime.settings import Limits
from tests.photos import DEMO, ROOT
from tests.pictures import corners, encoded
from tests.unit.deploy.declared import declare
from tests.unit.image.test_facts import photo

TEXT = (ROOT / "docs" / "metadata.md").read_text()
BLOCKS = re.findall(r"(?:^ {4}.*\n)+", TEXT, re.MULTILINE)
EXAMPLES = [dedent(block) for block in BLOCKS if block.startswith("    steps:")]


def first_column(heading: str) -> set[str]:
    """Return the names in code in the first column of the first table behind `heading`."""
    rows = TEXT.split(heading)[1].split("\n\n|")[1].split("\n\n")[0].splitlines()
    return {name for row in rows for name in re.findall("`([^`]+)`", row.lstrip("|").split("|")[0])}


def names(facts: dict[str, Any]) -> set[str]:
    """Return the names of facts, those in `exif` and `gps` with a dot."""
    apart = {"exif", "gps"} & set(facts)
    return (set(facts) - apart) | {f"{part}.{name}" for part in apart for name in facts[part]}


def test_every_fact_is_explained_and_no_other() -> None:
    wanted = {"s": {"exif": True, "gps": "keep", "palette": 3, "tags": "basic"}}
    gif = encoded(corners(), "GIF", save_all=True, append_images=[Image.new("RGB", (400, 300))])
    told = {
        name
        for data in (photo(), gif)
        for name in names(dict(image.make(data, wanted, Limits())["s"].facts))
    }
    rare = {
        "profile",
        "exif.artist",
        "exif.copyright",
        "exif.focal_length_35mm",
        "exif.exposure_bias_ev",
        *naming.note("a.png", {"format": "jpeg"}),
    }
    assert told | rare == first_column("# What imgpipe knows")


def test_every_tag_is_explained_and_no_other() -> None:
    code = Path(tags.__file__).read_text().split('"""', 2)[2]
    known = first_column("## Tags")
    assert {word for word in re.findall('"([a-z-]+)"', code) if word in known} == known


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_example_is_taken(block: str) -> None:
    assert declare(f"version: 1\nname: tiny\n{block}")


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("lambdas", "demo/photos"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.md")
        )
    shutil.copy(ROOT / "pipeline.yaml", tmp_path)
    shutil.copy(DEMO / "rocket.jpg", tmp_path / "photo.jpg")
    (tmp_path / "album").mkdir()
    shutil.copy(DEMO / "chelsea.png", tmp_path / "album")
    shutil.copy(DEMO / "chelsea.png", tmp_path)
    monkeypatch.chdir(tmp_path)
    app = Typer()
    build.register(app)
    commands = re.findall(r"^    imgpipe (process .*?)(?: #.*)?$", TEXT, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command), catch_exceptions=False)
        assert done.exit_code == 0, command
        if "--json" in command:
            promised = re.findall('"([a-z]+)"', TEXT.split("prints a list of")[1].split("}`")[0])
            assert set(promised) == set(json.loads(done.stdout)[0])
    assert len(list((tmp_path / "previews").rglob("chelsea*.jpg"))) == 8


def test_every_option_of_the_list_is_one() -> None:
    described = (ROOT / "docs" / "commands.md").read_text()
    known = described.split("# `imgpipe metadata list`")[1].split("\n## ")[0]
    examples = re.findall(r"^    imgpipe metadata list (.*)$", TEXT, re.MULTILINE)
    assert examples
    for option in re.findall("--[a-z]+", " ".join(examples)):
        assert f"`{option}" in known
