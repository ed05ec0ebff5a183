"""docs/guarantees.md: what imgpipe promises, under which faults, the tests that show it, and the figures of a run.

    python docs/guarantees.py            writes the page from guarantees.yaml, the tests' markers and guarantees.json
    python docs/guarantees.py --check    fails when the figures are older than the code that they speak of (`make test`)

The figures speak of the modules that keep the promises: what reads messages, merges rows, deletes outputs and heals.
Words in comments and docstrings aren't code: changing them makes no figure old.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE, ROWS, FIGURES = (HERE / f"guarantees.{kind}" for kind in ("md", "yaml", "json"))
AGAIN = "make guarantees"
_RUNTIME = "batch entry events expected job notices notifier results row settings steps store tidy worker writer"
GUARDS = tuple(sorted(file.stem for file in (ROOT / "imgpipe/runtime/guard").glob("*.py")))
KEEPERS = (
    *(f"imgpipe/runtime/{name}.py" for name in _RUNTIME.split()),
    *(
        f"imgpipe/operate/audit/{name}.py"
        for name in ("law", "outputs", "owners", "remedy", "walk")
    ),
    *(f"imgpipe/operate/dlq/{name}.py" for name in ("mover", "route")),
    *(f"imgpipe/runtime/guard/{name}.py" for name in GUARDS),
    *(
        f"tests/faults/law/{name}.py"
        for name in ("check", "harness", "memory", "simulation", "storm")
    ),
)
"""The modules that the figures speak of, and those that make them."""

INTRODUCTION = """# What imgpipe promises, and what shows it

People hand over their only copy of a photograph. So every version of every upload has exactly one status at any time:
`done`, `rejected`, `failed`, `in_flight`, `removed` or `superseded`. `imgpipe audit` proves it for a pipeline of yours;
this page tells how it is proven for imgpipe itself, under which faults, and what is not promised.

Written by `docs/guarantees.py`; the figures by `make guarantees`, which takes about eight minutes. `make test` fails
when they are older than the code that they speak of. Nothing here ran on AWS itself.
"""
HARNESSES = """## How it is tried

Two harnesses put faults into a pipeline by a seed, let them stop, run `imgpipe dlq redrive` and `imgpipe audit --heal`
until there is nothing to do, and then compare everything there is, byte by byte, with what a run without faults makes.

- **simulation**: the real functions over a cloud in memory, in one process with a clock of its own. Each call is a
  point where another function may go on, where the call may fail before or after it was done, where the function may be
  killed. It is judged before any healing and after; at the end, every order to delete outputs comes once more. With a
  mistake put into the code, such as a writer that overwrites blindly,
  [it must fail](../tests/faults/test_harness_catches.py).
  `python -m tests.faults.law.simulation SEED --trace` replays a seed call by call.
- **storm**: the embedded cloud, its functions, a worker and the commands as real processes; kill -9, requests that fail
  or are cut, a full disk, deleted topics, edits of pipeline.yaml while images are on their way.
  `python -m tests.faults.law.storm SEED --log FOLDER` runs the schedule of a seed again.

`make test` runs a few fixed seeds of both; `make soak SEEDS=0-9999 STORMS=1-50` runs as many as you like.
"""
COUNTED = """\
*injected* counts the faults of that kind in the run above, in both harnesses: calls that failed, not times in
which calls fail; messages that were begun beside a copy, not copies. A fault may count in more than one row. Where the
column is empty, the harnesses draw no such fault: tests alone put it in. Of what happens to the machine (F-17, F-27,
F-37, F-39) there are a few in all the storms, no more. Where it says 0, a storm brought the fault and no call met it.
"""
NOT_PROMISED = """## What is not promised

- Exactly-once: functions run, and `completed` is published, at least once; what they leave behind is as if once.
- A notice to a person goes out at most once. One whose function dies between the claim and the sending is not sent
  again; `imgpipe audit` lists it as `unsent`.
- Nothing mends by itself what an outage has cut off for good, such as an event that never came: `imgpipe audit --heal`
  does, and the figures are those after it. The simulation also judges before any healing: only what was cut off is
  wrong then, or waits for a step that an edit took away, or shows again since a newer version was erased; and outputs
  may be left over of attempts that died, or that `tidy` spared for a writer that died once its row let go of them.
- The harnesses' pipelines have buckets of their own, with versions; in the simulation, every fourth seed stores its
  outputs beside the uploads. They don't cover: a bucket that was there before and keeps no versions; uploads delivered
  to a queue, to a function or by EventBridge; lanes for large images; steps on `restored` and `tagged`. Those have
  tests of their own, and no figures.
- A deleted table takes its notices' claims with it; put back from the originals, people may hear again.
- AWS's own services are taken at their word.
"""
ROUGHLY = ("calls fail:*", "down for a while:*", "* down", "* gone and back", "redrive", "healed*")
"""What the harnesses count and is no fault by itself: a time in which calls fail, each of which counts; and mending."""
PROMISES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "Every version that was accepted has one status, the right one",
        ("lost upload", "strange upload", "lost", "no tombstone", "not quiet"),
        "uploads",
    ),
    ("Each image has one row", ("duplicated row",), "rows"),
    (
        "Each output is there, byte for byte what a quiet run makes",
        ("lost output", "wrong bytes"),
        "outputs",
    ),
    ("No output is there twice, or left over", ("duplicated output",), "outputs"),
    ("What is rejected or failed has a dead letter", ("no letter",), "rows"),
    (
        "`completed` is published for each end, always with the same id",
        ("not announced", "two ids"),
        "completed",
    ),
    ("A person hears of a thing once at most", ("told twice",), "notices"),
)


def sources(root: Path = ROOT) -> str:
    """Return the hash of the code that the figures speak of."""
    seen = hashlib.sha256()
    for name in KEEPERS:
        seen.update(f"{name}\n{code((root / name).read_text())}\n".encode())
    return seen.hexdigest()[:16]


def code(text: str) -> str:
    """Return the lines of a module that are code: no docstrings, no comments on lines of their own, no blank lines."""
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                prose.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    kept = [line.rstrip() for number, line in lines if number not in prose]
    return "\n".join(line for line in kept if line and not line.lstrip().startswith("#"))


def marked(root: Path = ROOT) -> Iterator[tuple[str, str, str]]:
    """Yield the row, file and name of every test function that carries a `fault` marker."""
    for file in sorted((root / "tests").rglob("test_*.py")):
        text = file.read_text()
        if "mark.fault(" not in text:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    for row in _rows(mark):
                        yield row, str(file.relative_to(root)), node.name


def _rows(node: ast.AST) -> list[str]:
    marks = re.findall(r"mark\.fault\(([^)]*)\)", ast.unparse(node))
    return [row for mark in marks for row in re.findall(r"'([^']*)'", mark)]


def rows() -> dict[str, dict[str, str]]:
    read: Any = yaml.safe_load(ROWS.read_text())
    return dict(read)


def figures() -> dict[str, Any]:
    read: Any = json.loads(FIGURES.read_text())
    return dict(read)


def page(
    sections: Mapping[str, Mapping[str, str]],
    tests: Mapping[str, list[tuple[str, str]]],
    told: Mapping[str, Any],
) -> str:
    """Return the page."""
    harnesses = told["harnesses"]
    lines = [INTRODUCTION, "## The promises", "", *_promises(harnesses), "", *_run(told), ""]
    lines += [HARNESSES, "## Fault by fault", ""]
    lines.append(COUNTED)
    for section, faults in sections.items():
        lines += [f"### {section}", "", "| row | fault | what holds | injected | shown by |"]
        lines += ["|---|---|---|---|---|"]
        lines += [_line(row, text, tests.get(row, []), harnesses) for row, text in faults.items()]
        lines.append("")
    return "\n".join([*lines, NOT_PROMISED])


def _promises(harnesses: Mapping[str, Any]) -> Iterator[str]:
    names = list(harnesses)
    yield f"| promise | {' | '.join(f'{name}: checked | broken' for name in names)} |"
    yield f"|---|{'---|---|' * len(names)}"
    for words, kinds, of in PROMISES:
        cells = []
        for name in names:
            sizes, broken = harnesses[name]["sizes"], harnesses[name]["broken"]
            cells += [
                f"{sizes.get(of, 0):,} {of}",
                f"**{sum(broken.get(kind, 0) for kind in kinds)}**",
            ]
        yield f"| {words} | {' | '.join(cells)} |"


def _run(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"Run on {told['date']} at commit `{told['commit']}`, on {told['machine']}:"
    yield ""
    for name, each in told["harnesses"].items():
        injected = sum(
            number for name, number in each["faults"].items() if not is_any(name, ROUGHLY)
        )
        uploads = each["sizes"].get("uploads", 0)
        yield (
            f"- **{name}**, seeds {each['seeds']}: {injected:,} faults injected, {uploads:,} uploads through them,"
        )
        lost = sum(each["broken"].get(kind, 0) for kind in ("lost upload", "lost", "lost output"))
        twice = each["broken"].get("duplicated output", 0)
        yield f"  lost {lost}, duplicated outputs {twice}, in {each['seconds']} s."


def _line(row: str, text: str, tests: list[tuple[str, str]], harnesses: Mapping[str, Any]) -> str:
    fault, holds, *kinds = (part.strip() for part in text.split(" | "))
    shown = "<br>".join(
        f"[{name.removeprefix('test_').replace('_', ' ')}](../{file})" for file, name in tests
    )
    faults = sum((Counter(each["faults"]) for each in harnesses.values()), Counter[str]())
    wanted = tuple(kind.strip() for kind in kinds[0].split(";")) if kinds else ()
    count = sum(number for name, number in faults.items() if is_any(name, wanted))
    injected = f"{count:,}" if wanted else ""
    return f"| {row} | {fault} | {holds} | {injected} | {shown or '**open**'} |"


def is_any(name: str, wanted: Iterable[str]) -> bool:
    """Tell whether a fault is one of those that a row speaks of."""
    return any(fnmatchcase(name, each) for each in wanted)


def current() -> str:
    """Return the page as it should be."""
    tests: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row, file, name in marked():
        tests[row].append((file, name))
    return page(rows(), tests, figures())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        PAGE.write_text(current())
        return 0
    if figures()["sources"] == sources():
        return 0
    sys.stderr.write(
        f"docs/guarantees.md: its figures are older than the code they speak of; run: {AGAIN}\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
