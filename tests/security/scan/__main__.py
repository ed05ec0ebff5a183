"""Runs the judges and tells what isn't waived. Exit code 1 if there is anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from imgpipe.deploy import resources as r
from tests.photos import ROOT
from tests.security import pipelines

HERE = Path(__file__).parent
PYTHON = ROOT / ".venv" / "security" / "bin" / "python"
NODE = ROOT / ".venv" / "security-node"

ASKED = frozenset({"checkov", "parliament", "cloudsplaining"})
"""The judges who need no npm."""

Finding = dict[str, str]
Waiver = dict[str, Any]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.json" for name, _ in pipelines.exported()]
        for file, (_, text) in zip(files, pipelines.exported(), strict=True):
            file.write_text(text)
        found, asked = [*checkov(Path(folder)), *policies()], ASKED
        if (NODE / "installed").exists():
            found, asked = [*found, *nag(files)], ASKED | {"cdk-nag"}
        else:
            print("no npm here: without cdk-nag, whose waivers are left alone", file=sys.stderr)
    waivers: list[Waiver] = yaml.safe_load((HERE / "waivers.yaml").read_text())
    left = [one for one in found if not any(covers(waiver, one) for waiver in waivers)]
    idle = unneeded(waivers, found, asked)
    for one in left:
        print("{judge} {rule}: {file} {resource}: {finding}".format(**one))
    for waiver in idle:
        print(f"nothing needs the waiver of {waiver['judge']} for {', '.join(waiver['rules'])}")
    judged = f"{len(files)} templates and {len(named_policies())} policies"
    print(f"{judged}: {len(found)} findings, {len(left)} of them not waived")
    return 1 if left or idle else 0


def unneeded(waivers: list[Waiver], found: list[Finding], asked: frozenset[str]) -> list[Waiver]:
    """Return the waivers that no finding needs. Those of a judge who wasn't asked may be needed yet."""
    return [
        one
        for one in waivers
        if one["judge"] in asked and not any(covers(one, finding) for finding in found)
    ]


def covers(waiver: Waiver, finding: Finding) -> bool:
    return (
        waiver["judge"] == finding["judge"]
        and finding["rule"] in waiver["rules"]
        and bool(re.fullmatch(waiver.get("resources", ".*"), finding["resource"]))
        and bool(re.fullmatch(waiver.get("findings", ".*"), finding["finding"]))
    )


def checkov(folder: Path) -> Iterator[Finding]:
    options = ["--framework", "cloudformation", "--skip-download", "--compact", "--quiet"]
    command = [PYTHON.with_name("checkov"), "-d", folder, *options, "-o", "json", "--soft-fail"]
    said = json.loads(_run(command))
    for one in said["results"]["failed_checks"]:
        yield {
            "judge": "checkov",
            "file": one["file_path"].strip("/").removesuffix(".json"),
            "rule": one["check_id"],
            "resource": one["resource"].rpartition(".")[2],
            "finding": one["check_name"],
        }
    assert not said["summary"]["parsing_errors"]
    assert said["summary"]["passed"]


def named_policies() -> dict[str, Any]:
    """Return every role's policy, by pipeline and role."""
    return {
        f"{name}/{role.name}": json.loads(role.policy)
        for name, graph in pipelines.graphs()
        for role in graph.of(r.Role)
    }


def policies() -> list[Finding]:
    """Have the policies judged, and a bad one among them: who says nothing of that is asleep."""
    statement = {"Effect": "Allow", "Action": ["s3:*", "iam:Nonsense"], "Resource": "*"}
    bad = {"known/bad": {"Version": "2012-10-17", "Statement": [statement]}}
    given = json.dumps({**named_policies(), **bad})
    found: list[Finding] = json.loads(_run([PYTHON, HERE / "policies.py"], given))
    awake = {one["judge"] for one in found if one["resource"] == "bad"}
    assert awake == {"parliament", "cloudsplaining"}, awake
    return [one for one in found if one["resource"] != "bad"]


def nag(files: list[Path]) -> list[Finding]:
    script = NODE / "nag.js"  # beside its modules, where node looks for them
    script.write_text((HERE / "nag.js").read_text())
    found: list[Finding] = json.loads(_run(["node", script, *files]))
    return [{**one, "file": one["file"].removesuffix(".json")} for one in found]


def _run(command: list[Any], given: str | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)), input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
