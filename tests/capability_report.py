"""Which capability was proven by which test in this run: `pytest --capability-report FILE`.

A marker travels with its test's reports (`user_properties`), so that the tests may run in several processes. What is
written are outcomes, one a test and row: `docs/capabilities.py` decides what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

NAME = "capability"


class Reporter:
    """Gathers outcomes in the process that a person started; the tests may run in others."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: dict[tuple[str, str], str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, row in report.user_properties:
            if name == NAME:
                self._note((str(row), report.nodeid), _outcome(report))

    def _note(self, key: tuple[str, str], outcome: str) -> None:
        """Keep the worst that was told of a test: a fixture's failure outweighs the test's success."""
        worst = ("passed", "skipped", "expected failure", "failed")
        self._seen[key] = max(self._seen.get(key, worst[0]), outcome, key=worst.index)

    def pytest_sessionfinish(self) -> None:
        rows: dict[str, dict[str, str]] = {}
        for (row, test), outcome in sorted(self._seen.items()):
            rows.setdefault(row, {})[test] = outcome
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(rows, indent=1) + "\n")


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "expected failure"
    return str(report.outcome)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--capability-report", metavar="FILE", help="write what proved what as JSON")


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--capability-report")
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporter(Path(file)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.user_properties += [(NAME, row) for row in _rows(item)]


def _rows(item: pytest.Item) -> Iterator[str]:
    for marker in item.iter_markers(NAME):
        yield from marker.args
