"""docs/backfill.md: its commands are taken, and what it says of numbers and output is what the code does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from imgpipe.cli.main import build_app
from imgpipe.cli.views import backfill as view
from imgpipe.operate.backfill import choose, manifest, send, stale
from imgpipe.operate.backfill.price import Estimate

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "backfill.md").read_text()
COMMANDS = re.findall(r"^    \$ imgpipe (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_is_taken(line: str) -> None:
    group = typer.main.get_command(build_app())
    name, *args = shlex.split(line)
    command = group.commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, args).params is not None


def test_the_numbers_are_the_codes() -> None:
    assert f"{manifest.PART_ITEMS:,} lines" in PAGE
    assert f"{stale.EACH} of each shard" in PAGE
    assert f"{stale.RATE:g} images a second" in PAGE
    assert f"batch of up to {send.BATCH} images" in PAGE
    assert f"last {choose.REMEMBERED.days} days" in PAGE


def test_a_plan_looks_as_shown() -> None:
    estimate = Estimate(images=6, nanodollars=73_000)
    estimate.steps["thumbnail"] = 6
    found = stale.Stale(estimate=estimate, seconds=0.06, looked_at=6, images=6)
    lines = [re.sub(r"\[[^]]*\]", "", line) for line in view.stale(found, pending=False)]
    assert "".join(f"    {line}\n" for line in lines) in PAGE
