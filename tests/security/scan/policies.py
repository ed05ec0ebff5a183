"""Prints as JSON what parliament and cloudsplaining find in policies, which come as JSON on stdin by name.

Runs by itself, with the Python of `.venv/security`.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

warnings.simplefilter("ignore")  # parliament's way to find its own files is to go one day

import parliament  # noqa: E402
from cloudsplaining.scan.policy_document import PolicyDocument  # noqa: E402

RISKS = (
    "all_allowed_unrestricted_actions",
    "allows_data_exfiltration_actions",
    "allows_privilege_escalation",
    "contains_statement_using_not_action",
    "credentials_exposure",
    "infrastructure_modification",
    "permissions_management_without_constraints",
    "service_wildcard",
    "tagging_actions_without_constraints",
    "write_actions_without_constraints",
)
"""All that cloudsplaining knows to ask of a policy."""


def found(name: str, policy: dict[str, Any]) -> Iterator[dict[str, str]]:
    for one in parliament.analyze_policy_string(json.dumps(policy)).findings:
        yield _finding("parliament", name, one.issue, str(one.detail))
    judged = PolicyDocument(policy)
    for risk in RISKS:
        for said in getattr(judged, risk):
            yield _finding("cloudsplaining", name, risk, str(said))


def _finding(judge: str, name: str, rule: str, finding: str) -> dict[str, str]:
    file, _, role = name.partition("/")
    return {"judge": judge, "file": file, "rule": rule, "resource": role, "finding": finding}


policies = json.load(sys.stdin)
print(json.dumps([each for name, policy in policies.items() for each in found(name, policy)]))
