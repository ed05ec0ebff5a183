"""docs/capabilities.md: every row of `capabilities.yaml`, with the tests that proved it in a run of all tests.

    pytest --capability-report report.json
    python docs/capabilities.py report.json             writes the page
    python docs/capabilities.py report.json --check     fails if the page claims what this run refutes (`make test`)

A row is proven by a test that carries its marker, ran and passed. A test that failed, was skipped or was expected to
fail proves nothing, and a row with a failed test is open, whatever else passed.

The check is no comparison: on a machine that skips some tests the page is as true as before. It fails when a claimed
proof failed, is expected to fail, or is no longer among the tests of its row; of skipped ones it tells.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
PAGE = HERE / "capabilities.md"
TITLES = HERE / "capabilities.yaml"
INTRODUCTION = """# What imgpipe can do, and what proves it

Written by `docs/capabilities.py` from a run of all tests; `make test` fails when its own run refutes it. A row is
proven by tests that carry its number, ran and passed. **open** means that no test proves it: it may not exist yet. A
skipped test and an expected failure prove nothing. Nothing here ran on AWS itself: the tests use the embedded cloud,
moto, and AWS's own request models.
"""

Outcomes = Mapping[str, str]


def proofs(outcomes: Outcomes) -> list[str]:
    """Return the tests that prove a row; none if any of its tests failed.

    The cases of a parametrized test count as one: it passed if one did and none failed.
    """
    if "failed" in outcomes.values():
        return []
    passed = {test.partition("[")[0] for test, outcome in outcomes.items() if outcome == "passed"}
    spoilt = {
        test.partition("[")[0]
        for test, outcome in outcomes.items()
        if outcome == "expected failure"
    }
    return sorted(passed - spoilt)


def page(report: Mapping[str, Outcomes], titles: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page. Raises ValueError for a marker that no row has."""
    known = {row for rows in titles.values() for row in rows}
    if unknown := sorted(set(report) - known):
        raise ValueError(f"tests are marked with rows that capabilities.yaml lacks: {unknown}")
    proven = {row: proofs(report.get(row, {})) for row in known}
    done = sum(bool(tests) for tests in proven.values())
    lines = [INTRODUCTION, f"{done} of {len(known)} rows are proven.", ""]
    for section, rows in titles.items():
        lines += [f"## {section}", "", "| row | what | see it with | proof |", "|---|---|---|---|"]
        lines += [_line(row, text, proven[row]) for row, text in rows.items()]
        lines.append("")
    return "\n".join(lines)


def _line(row: str, text: str, tests: list[str]) -> str:
    title, _, command = (part.strip() for part in text.partition(" | "))
    proof = "<br>".join(_links(tests)) if tests else "**open**"
    return f"| {row} | {title} | `{command}` | {proof} |"


def _links(tests: list[str]) -> Iterator[str]:
    for test in tests:
        file, _, name = test.partition("::")
        yield f"[{name.removeprefix('test_').replace('_', ' ')}](../{file})"


def refuted(text: str, report: Mapping[str, Outcomes]) -> tuple[list[str], list[str]]:
    """Return the claims of a page that a run refutes, and those that it could not try because it skipped them."""
    lies, untried = [], []
    for row, test in claims(text):
        cases = {
            outcome
            for name, outcome in report.get(row, {}).items()
            if name.partition("[")[0] == test
        }
        if cases == {"skipped"}:
            untried.append(f"{row} {test}")
        elif "passed" not in cases or cases & {"failed", "expected failure"}:
            lies.append(f"{row} {test}")
    return lies, untried


def claims(text: str) -> Iterator[tuple[str, str]]:
    """Yield each row and test that a page names as its proof."""
    for line in text.splitlines():
        if row := re.match(r"\| ((?:S\d-|X)\d+) \|", line):
            for name, file in re.findall(r"\[([^\]]*)\]\(\.\./([^)]*)\)", line):
                yield row[1], f"{file}::test_{name.replace(' ', '_')}"


def titles() -> dict[str, dict[str, str]]:
    read: Any = yaml.safe_load(TITLES.read_text())
    return dict(read)


def _check(text: str, report: Mapping[str, Outcomes]) -> int:
    lies, untried = refuted(text, report)
    for claim in untried:
        sys.stderr.write(f"docs/capabilities.md: skipped here: {claim}\n")
    for claim in lies:
        sys.stderr.write(f"docs/capabilities.md claims what this run refutes: {claim}\n")
    return 1 if lies else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    report = json.loads(given.report.read_text())
    there = PAGE.read_text() if PAGE.exists() else ""
    if given.check:
        return _check(there, report)
    made = page(report, titles())
    if made != there:
        PAGE.write_text(made)
        sys.stdout.write("wrote docs/capabilities.md\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
