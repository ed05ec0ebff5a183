"""The whole examination: look once, check everything, the gravest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from imgpipe.errors import MissingError, UsageError
from imgpipe.operate.doctor import look
from imgpipe.operate.doctor.findings import Check, Finding, Severity
from imgpipe.operate.doctor.registry import CHECKS

if TYPE_CHECKING:
    from collections.abc import Collection

    from imgpipe.cloud import Cloud
    from imgpipe.operate.doctor.scene import Scene
    from imgpipe.operate.project import Project

DAY = timedelta(days=1)
_GRAVEST_FIRST = list(Severity)
_NEED = {
    "alarms": {"dlq-alarm"},
    "metrics": {"swallowed-errors"},
    "rules of EventBridge": {"trigger-notification"},
}
"""What was asked of a whole account, and the checks that can't do without the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`looked_at` counts what was seen by kind; `unread` says what could not be looked at."""

    findings: tuple[Finding, ...]
    checks: tuple[str, ...]
    looked_at: dict[str, int]
    unread: tuple[str, ...]

    def as_json(self) -> list[dict[str, Any]]:
        return [finding.as_json() for finding in self.findings]


def project(opened: Project, only: Collection[str] = (), since: timedelta = DAY) -> Report:
    """Examine a pipeline of ours. Raises UsageError for a check that doesn't exist, CloudError."""
    checks = chosen(only)
    return report(look.at_project(opened, since), checks)


def bucket(cloud: Cloud, name: str, only: Collection[str] = (), since: timedelta = DAY) -> Report:
    """Examine whatever hangs on a bucket. Raises UsageError, CloudError; MissingError without the bucket."""
    checks = chosen(only)
    scene = look.at_bucket(cloud, name, since)
    if scene.buckets[name].missing:
        why = next(
            (text for text in scene.unread if f"of bucket {name}:" in text),
            "there is no such bucket here",
        )
        raise MissingError(f"bucket {name}", why, hint="aws s3 ls, to see your buckets")
    return report(scene, checks)


def report(scene: Scene, checks: Collection[Check] = CHECKS) -> Report:
    """Run the checks on what was seen. Pure."""
    found = [
        finding
        for check in checks
        for finding in check.findings(scene)
        if not any(_unsure(finding, text.partition(":")[0]) for text in scene.unread)
    ]
    kinds = ("buckets", "topics", "queues", "functions", "tables", "alarms")
    return Report(
        findings=tuple(sorted(found, key=lambda one: _GRAVEST_FIRST.index(one.severity))),
        checks=tuple(check.id for check in checks),
        looked_at={kind: len(getattr(scene, kind)) for kind in kinds},
        unread=scene.unread,
    )


def _unsure(finding: Finding, unread: str) -> bool:
    """Whether a finding is about what could not be read: that looks as if it weren't there."""
    if unread in _NEED:
        return finding.id in _NEED[unread]
    thing = re.escape(" ".join(unread.split()[-2:]))
    return bool(re.search(rf"{thing}(?![\w-])", f"{finding.what} {finding.why}"))


def chosen(ids: Collection[str]) -> tuple[Check, ...]:
    """Return the checks with these ids; all for none. Raises UsageError."""
    known = {check.id: check for check in CHECKS}
    unknown = [one for one in ids if one not in known]
    if unknown:
        from imgpipe.deploy.problems import did_you_mean

        raise UsageError(
            f"check {unknown[0]}",
            f"there is no such check{did_you_mean(unknown[0], list(known))}",
            hint="imgpipe doctor --list",
        )
    return tuple(check for check in CHECKS if not ids or check.id in ids)
