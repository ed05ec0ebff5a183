"""The page of capabilities can't lie: what counts as proof, and that no marker or link of it is stale."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.capability_report import Reporter
from tests.photos import ROOT
from tests.scripts import script


@pytest.fixture(scope="module")
def capabilities() -> ModuleType:
    return script("capabilities")


@pytest.mark.parametrize(
    ("outcomes", "proven"),
    [
        ({"t.py::a": "passed"}, ["t.py::a"]),
        ({}, []),
        ({"t.py::a": "skipped"}, []),
        ({"t.py::a": "expected failure"}, []),
        ({"t.py::a": "failed"}, []),
        ({"t.py::a": "passed", "t.py::b": "failed"}, []),
        ({"t.py::a": "passed", "t.py::b": "skipped"}, ["t.py::a"]),
        ({"t.py::a[1]": "passed", "t.py::a[2]": "skipped"}, ["t.py::a"]),
        ({"t.py::a[1]": "passed", "t.py::a[2]": "expected failure"}, []),
    ],
)
def test_only_what_ran_and_passed_proves_a_row(
    capabilities: ModuleType, outcomes: dict[str, str], proven: list[str]
) -> None:
    assert capabilities.proofs(outcomes) == proven


def test_a_row_without_proof_is_open_and_an_unknown_row_is_refused(
    capabilities: ModuleType,
) -> None:
    titles = {"One": {"S0-1": "Uploads | imgpipe upload", "S0-2": "More | imgpipe status"}}
    page = capabilities.page({"S0-1": {"tests/t.py::test_it_goes": "passed"}}, titles)
    assert "| S0-1 | Uploads | `imgpipe upload` | [it goes](../tests/t.py) |" in page
    assert "| S0-2 | More | `imgpipe status` | **open** |" in page
    assert "1 of 2 rows are proven" in page
    with pytest.raises(ValueError, match="S9-9"):
        capabilities.page({"S9-9": {}}, titles)


def test_the_report_of_a_run_makes_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.json"
    Reporter(file).pytest_sessionfinish()
    assert file.read_text() == "{}\n"


def _marked() -> Iterator[tuple[str, str, str]]:
    """Yield the row, file and name of every test function that carries a marker, or whose module does."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        body = ast.parse(file.read_text()).body
        all_of_it = [row for node in body if _is_pytestmark(node) for row in _rows(node)]
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                own = [row for mark in node.decorator_list for row in _rows(mark)]
                for row in (*all_of_it, *own):
                    yield row, str(file.relative_to(ROOT)), node.name


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"


def _rows(node: ast.AST) -> list[str]:
    """Return the rows of the markers in a piece of code; also of a parameter's."""
    marks = re.findall(r"mark\.capability\(([^)]*)\)", ast.unparse(node))
    return [row for mark in marks for row in re.findall(r"'([^']*)'", mark)]


def test_every_marker_names_a_row(capabilities: ModuleType) -> None:
    known = {row for rows in capabilities.titles().values() for row in rows}
    assert len(known) == 77 + 15
    assert {row for row, _, _ in _marked()} <= known


def test_the_page_names_only_tests_that_carry_the_rows_number(capabilities: ModuleType) -> None:
    """Whether they pass is for `make test` to say, which compares the page with its own run."""
    marked = {(row, f"{file}::{name}") for row, file, name in _marked()}
    claims = set(capabilities.claims(capabilities.PAGE.read_text()))
    assert claims
    assert claims <= marked


@pytest.mark.parametrize(
    ("outcomes", "lies", "untried"),
    [
        ({"tests/t.py::test_it_goes": "passed"}, 0, 0),
        ({"tests/t.py::test_it_goes": "failed"}, 1, 0),
        ({"tests/t.py::test_it_goes": "expected failure"}, 1, 0),
        ({"tests/t.py::test_it_goes": "skipped"}, 0, 1),
        ({"tests/t.py::test_another": "passed"}, 1, 0),
        ({"tests/t.py::test_it_goes[1]": "passed", "tests/t.py::test_it_goes[2]": "skipped"}, 0, 0),
    ],
)
def test_a_run_refutes_a_claim_that_it_does_not_bear_out(
    capabilities: ModuleType, outcomes: dict[str, str], lies: int, untried: int
) -> None:
    line = "| S0-1 | Uploads | `imgpipe upload` | [it goes](../tests/t.py) |"
    refuted, skipped = capabilities.refuted(line, {"S0-1": outcomes})
    assert (len(refuted), len(skipped)) == (lies, untried)


def test_every_row_has_a_command(capabilities: ModuleType) -> None:
    for rows in capabilities.titles().values():
        for row, text in rows.items():
            title, _, command = text.partition(" | ")
            assert title, row
            assert "imgpipe" in command, row
