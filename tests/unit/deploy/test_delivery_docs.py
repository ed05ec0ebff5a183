"""The pipelines in docs/delivery.md are ones that `validate` accepts."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

from imgpipe.deploy.graph import dangling
from tests.photos import ROOT
from tests.unit.deploy.declared import build, declare

TEXT = (ROOT / "docs" / "delivery.md").read_text()
PIPELINES = [
    dedent(block)
    for block in re.findall(r"(?:^    .*\n)+", TEXT, re.MULTILINE)
    if "version: 1" in block
]


@pytest.mark.parametrize("text", PIPELINES, ids=lambda text: text.split()[3])
def test_every_example_can_be_put_up(text: str) -> None:
    assert not dangling(build(declare(text)).resources.values())


def test_there_are_examples() -> None:
    assert len(PIPELINES) == 8
