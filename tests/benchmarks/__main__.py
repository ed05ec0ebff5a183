"""`python -m tests.benchmarks [NAME…]`: run the measurements, print them, write bench-results.json."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import machine

MEASUREMENTS = ("startup", "provisioning", "images", "packages")
RESULTS = Path("bench-results.json")


def main(names: list[str]) -> None:
    results: dict[str, Any] = {"machine": machine.describe()}
    for name in names or MEASUREMENTS:
        sys.stderr.write(f"measuring {name} …\n")
        results[name] = importlib.import_module(f"tests.benchmarks.{name}").measure()
        sys.stdout.write(json.dumps({name: results[name]}, indent=2) + "\n")
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
