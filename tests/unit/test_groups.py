"""Tests that share what is dear to set up run where it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.photos import ROOT

PLAIN = """\
import os
import pytest

@pytest.mark.parametrize("number", range(6))
def test_it(number):
    with open({told!r}, "a") as told:
        print(os.environ["PYTEST_XDIST_WORKER"], file=told)
"""
GROUPED = PLAIN.replace("def test_it", '@pytest.mark.xdist_group("one")\ndef test_it')


@pytest.mark.parametrize(("text", "workers"), [(PLAIN, 2), (GROUPED, 1)])
def test_a_group_stays_on_one_worker(tmp_path: Path, text: str, workers: int) -> None:
    told = tmp_path / "told"
    (tmp_path / "test_it.py").write_text(text.format(told=str(told)))
    spread = ("-n", "2", "--dist", "loadgroup", "-p", "tests.groups", "-p", "no:cacheprovider")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, *spread, "--rootdir", ".", "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert len(set(told.read_text().split())) == workers
