"""The table of gaps itself."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.contract.known_gaps import GAPS


def checks() -> Counter[str]:
    """Return how often each name of a check occurs."""
    found: Counter[str] = Counter()
    for path in Path(__file__).parent.glob("test_*.py"):
        module = ast.parse(path.read_text())
        functions = (each for each in module.body if isinstance(each, ast.FunctionDef))
        found.update(each.name for each in functions if each.name.startswith("test_"))
    return found


def test_every_gap_is_that_of_a_check() -> None:
    assert set(GAPS) <= set(checks())


def test_no_two_checks_have_one_name() -> None:
    assert [name for name, count in checks().items() if count > 1] == []
