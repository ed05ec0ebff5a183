"""bench-results.json: what was measured, a part at a time, each with when and on what.

Running one part replaces that part and keeps the others, unless they are another machine's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Results = dict[str, Any]
SAME = ("cpu", "cores", "memory_gb")
"""What makes it another machine: its figures don't stand beside these."""


def load(path: Path, machine: Results) -> Results:
    """Return the results of earlier runs on this machine; none if the file can't be read."""
    try:
        found = json.loads(path.read_text())
        known = found["machine"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if all(known.get(name) == machine[name] for name in SAME) else {}


def merged(before: Results, name: str, found: Results, machine: Results) -> Results:
    """Return `before` with the part `name` as it was found now; `ratios` are those of the core."""
    ratios = {"ratios": found["ratios"]} if name == "core" else {}
    return {**before, "machine": machine, **ratios, name: {**found, "on": machine}}
