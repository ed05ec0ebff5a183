"""`python -m tests.benchmarks.docs [bench-results.json]`: put the figures into README.md and docs/benchmarks.md.

What stands between `<!-- bench NAME -->` and `<!-- /bench -->` is replaced by NAME's table, if the results have it.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from tests.benchmarks.core import report
from tests.photos import ROOT

PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
BLOCK = re.compile(r"(<!-- bench (?P<name>\S+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
Results = dict[str, Any]
MEMORY_GB = 1769 / 1024
"""What Lambda gives a whole vCPU at; the pipeline's default."""


def main(path: Path) -> None:
    results = json.loads(path.read_text())
    for page in PAGES:
        page.write_text(filled(page.read_text(), results))


def filled(text: str, results: Results) -> str:
    """Return the page with every block that the results speak of replaced."""

    def block(found: re.Match[str]) -> str:
        try:
            made = TABLES[found["name"]](results)
        except KeyError as missing:
            if missing.args[0] == found["name"]:
                raise
            return found[0]  # a run of other measurements
        return f"{found[1]}\n{made}\n{found[3]}"

    return BLOCK.sub(block, text)


def where(results: Results) -> str:
    """Return the sentence about when and on what."""
    core = results["core"]
    machine = core.get("on") or results["machine"]
    load = f", load before {machine['load_1min']}" if "load_1min" in machine else ""
    day = date.fromisoformat(machine["date"])
    versions = ", ".join(f"{name} {version}" for name, version in core["versions"].items())
    text = (
        f"{day.day} {day:%B %Y}, commit {machine['commit']}: {machine['cores']} cores of "
        f"{machine['cpu'] or 'a server'}, {machine['memory_gb']:.0f} GB, {machine['system']}, "
        f"Python {machine['python']}{load}; {versions}."
    )
    return textwrap.fill(text, 116) + "\n"


def pipeline(results: Results) -> str:
    """Return the table of whole commands on the embedded cloud."""
    start, up, one = results["startup"], results["provisioning"], results["images"]["one_12MP"]
    (many,) = [each for name, each in results["images"].items() if name.endswith("x_2MP")]
    done = f"{many['seconds']:.0f} s: {many['images_per_s']} images/s, {many['lost']} lost"
    lines = [
        ["`imgpipe --help`, over Python's own start", f"{start['over_python_s']:.2f} s", "0.25 s"],
        [
            "`up` from nothing, the embedded cloud's start included",
            _seconds(up["up_from_nothing_s"]),
            "15 s",
        ],
        ["unchanged `up`", _seconds(up["up_unchanged_s"]), "2 s"],
        ["one photograph of 12 MP, from PutObject to `done`", _seconds(one["done_s"]), "1.5 s"],
        ["500 photographs of 2 MP, `upload --wait`", done, "50 s"],
    ]
    return report.table(["", "measured", "wanted, at most"], lines)


def processors(results: Results) -> str:
    """Return what a million photographs cost in Lambda, by processor, for the image work alone."""
    engines = results["core"]["rows"]["jpeg3"]["engines"]
    lines = [
        [shown, f"{engines[name]['ms']:.0f}", f"{engines[name]['ms'] * usd * MEMORY_GB * 1000:.2f}"]
        for shown, name, usd in (
            ("x86_64, cykooz.resizer", "ours", 0.0000166667),
            ("x86_64, Pillow alone", "ours_pillow", 0.0000166667),
            ("arm64, Pillow alone", "ours_pillow", 0.0000133334),
            ("arm64, libvips for everything", "pyvips", 0.0000133334),
        )
    ]
    return report.table(["1,769 MB, one vCPU", "ms", "USD a million photographs"], lines)


def _seconds(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2g} s, {spread['min']:.2g} to {spread['max']:.2g} ({spread['runs']} runs)"


def _core(make: Callable[[dict[str, Any]], str]) -> Callable[[Results], str]:
    return lambda results: make(results["core"])


TABLES: dict[str, Callable[[Results], str]] = {
    "where": where,
    "pipeline": pipeline,
    "processors": processors,
    "ratios": _core(report.ratios),
    "times": _core(report.times),
    "quality": _core(report.quality),
    "against_sharp": _core(report.against_sharp),
    "memory": _core(report.memory),
    "cold": _core(report.cold),
}

if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "bench-results.json"))
