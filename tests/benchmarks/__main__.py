"""`python -m tests.benchmarks [--quick] [NAME…]`: measure, print, put the figures into bench-results.json."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import machine, results

MEASUREMENTS = ("core", "startup", "provisioning", "images", "guard", "packages")
RESULTS = Path("bench-results.json")


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}")
    asked.add_argument("--quick", action="store_true", help="only the image core, on few pictures")
    chosen = asked.parse_args()
    if unknown := set(chosen.names) - set(MEASUREMENTS):
        asked.error(f"no such measurement: {', '.join(sorted(unknown))}")
    began = machine.describe()
    kept = results.load(RESULTS, began)
    sys.stdout.write(f"{machine.line(began)}\n\n")
    for name in chosen.names or (("core",) if chosen.quick else MEASUREMENTS):
        sys.stderr.write(f"measuring {name} …\n")
        on = machine.describe()
        kept = results.merged(kept, name, _measure(name, quick=chosen.quick), on)
        RESULTS.write_text(json.dumps(kept, indent=2) + "\n")
    sys.stderr.write(f"{RESULTS} written\n")


def _measure(name: str, *, quick: bool) -> dict[str, Any]:
    """Run one measurement and print what it found: the core as tables, the others as JSON."""
    if name == "core":
        from tests.benchmarks.core import measuring, report

        figures = measuring.measure(quick=quick)
        sys.stdout.write(f"{report.everything(figures)}\n{report.bars(figures)}\n")
        return figures
    found: dict[str, Any] = importlib.import_module(f"tests.benchmarks.{name}").measure()
    sys.stdout.write(json.dumps({name: found}, indent=2) + "\n")
    return found


if __name__ == "__main__":
    main()
