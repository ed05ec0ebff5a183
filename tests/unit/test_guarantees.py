"""The page of guarantees can't lie: each fault has a test, each marker a row, and old figures are found out."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.photos import ROOT
from tests.scripts import script


@pytest.fixture(scope="module")
def guarantees() -> ModuleType:
    return script("guarantees")


def test_every_fault_has_a_test_and_every_marker_a_row(guarantees: ModuleType) -> None:
    known = {row for rows in guarantees.rows().values() for row in rows}
    assert known == {f"F-{number}" for number in range(1, 50)}
    assert {row for row, _, _ in guarantees.marked()} == known


def test_the_page_is_in_step_with_its_rows_tests_and_figures(guarantees: ModuleType) -> None:
    wrote = guarantees.PAGE.read_text()
    assert wrote == guarantees.current(), "run: python docs/guarantees.py"


def test_the_page_claims_no_more_than_the_figures_say(guarantees: ModuleType) -> None:
    told = guarantees.figures()
    for name in ("simulation", "storm"):
        harness = told["harnesses"][name]
        assert harness["sizes"]["uploads"] > 0
        assert sum(harness["faults"].values()) > 0
        assert not harness["broken"]
    spoilt = json.loads(json.dumps(told))
    spoilt["harnesses"]["storm"]["broken"] = {"lost": 3, "duplicated output": 2}
    page = guarantees.page(guarantees.rows(), {}, spoilt)
    assert "lost 3, duplicated outputs 2" in page
    assert "**3**" in page
    assert "**open**" in page


def test_changed_code_makes_the_figures_old_and_changed_words_do_not(
    guarantees: ModuleType, tmp_path: Path
) -> None:
    for name in guarantees.KEEPERS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert guarantees.sources(tmp_path) == guarantees.sources()
    module = tmp_path / "imgpipe/runtime/row.py"
    text = module.read_text()
    module.write_text(f'{text}\n\n# a remark\n"""and words"""\n')
    assert guarantees.sources(tmp_path) == guarantees.sources()
    module.write_text(text.replace('"done": 3', '"done": 1'))
    assert guarantees.sources(tmp_path) != guarantees.sources()


def test_a_row_counts_the_faults_that_it_speaks_of_and_no_others(guarantees: ModuleType) -> None:
    faults = {
        "kill after: put by images": 1,
        "kill after: put_item by writer": 10,
        "done, answer lost: put_item by writer": 100,
        "done, answer lost: put_item by notifier": 1000,
        "time ran out": 10_000,
        "calls that failed: slow of s3": 100_000,
    }
    told = json.loads(json.dumps(guarantees.figures()))
    told["harnesses"] = {"simulation": {**told["harnesses"]["simulation"], "faults": faults}}
    page = guarantees.page(guarantees.rows(), {}, told)
    counts = dict(re.findall(r"^\| (F-\d+) .*\| ([\d,]+) \| \*\*open", page, re.MULTILINE))
    found = {row: count for row, count in counts.items() if count != "0"}
    assert found == {
        "F-12": "100,000",
        "F-32": "1",
        "F-41": "110",
        "F-48": "10,011",
        "F-49": "1,100",
    }
