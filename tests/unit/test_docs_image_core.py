"""docs/image-core.md: each example is taken and works, each setting, filter and format is there."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from imgpipe.deploy import lambda_lock, steps
from imgpipe.deploy.model import Variant
from imgpipe.runtime import image
from imgpipe.runtime.image.filters import FILTERS
from imgpipe.runtime.image.formats import READ
from imgpipe.runtime.settings import Limits
from tests.photos import ROOT
from tests.pictures import corners, encoded
from tests.unit.deploy.declared import declare

TEXT = (ROOT / "docs" / "image-core.md").read_text()
BLOCKS = re.findall(r"(?:^(?: {4}.*)?\n)+", TEXT, re.MULTILINE)
EXAMPLES = [dedent(block).strip() for block in BLOCKS if block.strip().startswith("steps:")]
[VIPS] = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
[OWN] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "lambdas" / "images"
    (folder / "filters").mkdir(parents=True)
    (folder / "handler.py").touch()
    (folder / "filters" / "negative.py").write_text(OWN)
    return tmp_path


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_taken_and_makes_pictures(example: str, project: Path) -> None:
    made = declare(f"version: 1\nname: docs\n{example}\n", folder=project)
    wanted = {name: steps.with_hash(step) for name, step in made.steps.items()}
    folder = project / "lambdas" / "images"
    done = image.make(encoded(corners()), wanted, Limits(), folder)
    for name, step in made.steps.items():
        assert set(done[name].variants) == set(steps.variants(step))
        assert set(step.variants) <= set(done[name].variants)


def test_every_setting_filter_and_format_is_there() -> None:
    for setting in Variant.model_fields:
        assert f"`{setting}" in TEXT or f"{setting}:" in TEXT
    for name in FILTERS:
        assert f"`{name}`" in TEXT
    for name in READ.split(", "):
        assert name in TEXT


def test_what_large_pngs_take_can_be_had_for_both_of_lambdas_processors(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(VIPS)
    pins = lambda_lock.pins(tmp_path)
    assert [pin.name for pin in pins] == ["cffi", "pyvips-binary"]
    assert lambda_lock.for_machine(pins, "aarch64") == pins
