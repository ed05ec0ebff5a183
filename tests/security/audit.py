"""Asks a vulnerability service about every locked package: `python -m tests.security.audit` (`make audit`).

Needs the internet. Of a package that it couldn't ask about pip-audit says that nothing is known; here that is a
failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.photos import ROOT

PIP_AUDIT = ROOT / ".venv" / "security" / "bin" / "pip-audit"
LOCKS = (
    *sorted(file.name for file in ROOT.glob("requirements*.lock")),
    "imgpipe/deploy/requirements-lambda.txt",
)


def main() -> int:
    return max(audited(lock) for lock in LOCKS)


def audited(lock: str) -> int:
    """Print what is known of the packages in `lock`; 1 if there is anything, or if nobody could be asked."""
    options = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "-f", "json"]
    command = [str(PIP_AUDIT), "-r", lock, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        told: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(f"{lock}: no answer from the vulnerability service:\n{done.stderr[-1000:]}")
        return 1
    unasked = [one for one in told if one.get("skip_reason")]
    known = [(one, vuln) for one in told for vuln in one.get("vulns", ())]
    for one, vuln in known:
        print(
            f"{lock}: {one['name']} {one['version']}: {vuln['id']}, mended in {vuln['fix_versions']}"
        )
    if unasked:
        print(
            f"{lock}: {len(unasked)} of {len(told)} packages could not be asked about; is there a way to the internet?"
        )
    else:
        print(f"{lock}: {len(told)} packages, {len(known)} known weaknesses")
    return 1 if known or unasked else 0


if __name__ == "__main__":
    sys.exit(main())
