"""What a function's log says of its own end: its time ran out, its memory, the table pushed back, something raised.

Only what was said since the function was last changed counts: a mended fault is silent at once. But for what it was
refused: that depends on its role, which is asked now, so every refusal of the time looked at counts.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from imgpipe.operate.doctor.scene import Log
from imgpipe.operate.times import to_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgpipe.operate.doctor.asking import Asking

FAULTS = " ".join(
    f'?"{words}"'
    for words in (
        "Task timed out",
        "signal: killed",
        "OutOfMemory",
        "MemoryError",
        "Throttling",
        "ThroughputExceeded",
        "NoSuchKey",
        "[ERROR]",
        "Traceback",
        "cannot write mode",
        "not authorized to perform",
    )
)
REFUSALS = '"not authorized to perform"'
REPORTS = '"REPORT RequestId"'
MAX_PAGES, PAGE, EXAMPLES = 3, 1000, 3
_REPORT = re.compile(
    r"REPORT RequestId: \S+\s+Duration: ([\d.]+) ms.*?Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB"
)
_TIMEOUT = re.compile(r"Task timed out")
_KILLED = re.compile(r"signal: killed|OutOfMemory|MemoryError")
_THROTTLED = re.compile(
    r"ProvisionedThroughputExceeded|Throttling(?:Exception|Error)?\b.*(?:dynamodb|Item)|(?:dynamodb|Item).*Throttling",
    re.IGNORECASE,
)
_RAISED = re.compile(r"\[ERROR\]|Traceback \(most recent call last\)")
_UNFIT = re.compile(r"cannot write mode (?:I;16|I|RGBA|LA|P|CMYK)\b")
_REFUSED = re.compile(
    r"not authorized to perform: ([\w-]+:\w+)(?: on resource: [\\\"']*(arn:[^\s\\\"']+))?"
)
_NO_KEY = re.compile(r"NoSuchKey")
_ENCODED = re.compile(r"[^\s\"'()<>{}\[\],]*(?:%[0-9A-Fa-f]{2}|\+)[^\s\"'()<>{}\[\],]*")


def changed_at(configuration: Mapping[str, Any]) -> datetime:
    """Return when the function's code or settings were last changed; long ago if it isn't said."""
    try:
        said = datetime.fromisoformat(str(configuration.get("LastModified", "")))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def read(asking: Asking, group: str, since: datetime, changed: datetime) -> Log:
    """Return what a log says since `since`, or since the function was `changed`, if that was later."""
    client = asking.client("logs")
    found = asking.ask(
        f"log group {group}",
        lambda: client.describe_log_groups(logGroupNamePrefix=group)["logGroups"],
    )
    there = next((one for one in found or () if one["logGroupName"] == group), None)
    if there is None:
        return Log(group=group, missing=True)
    start = to_ms(max(since, changed))
    faults = list(_search(asking, group, FAULTS, start))
    reports = list(_search(asking, group, REPORTS, start))
    before = _search(asking, group, REFUSALS, to_ms(since)) if changed > since else ()
    return told(
        faults,
        reports,
        refusals=before,
        group=group,
        retention_days=there.get("retentionInDays"),
        bytes=there.get("storedBytes", 0),
    )


def told(
    faults: Sequence[str], reports: Iterable[str], refusals: Iterable[str] = (), **known: Any
) -> Log:
    """Sort lines into what they mean; `refusals` are looked through for refusals alone. Pure."""
    measured = [found.groups() for found in map(_REPORT.search, reports) if found]
    return Log(
        **known,
        timeouts=_like(_TIMEOUT, faults),
        killed=_like(_KILLED, faults),
        throttled=_like(_THROTTLED, faults),
        raised=_like(_RAISED, faults),
        unfit=_like(_UNFIT, faults),
        refused=tuple(dict.fromkeys(_refusals((*refusals, *faults)))),
        undecoded=tuple(_encoded_keys(line for line in faults if _NO_KEY.search(line))),
        calls=len(measured),
        max_used_mb=max((int(used) for _, _, used in measured), default=0),
        max_ms=max((float(ms) for ms, _, _ in measured), default=0.0),
    )


def _like(pattern: re.Pattern[str], lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.strip() for line in lines if pattern.search(line))[-EXAMPLES:]


def _refusals(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for found in filter(None, map(_REFUSED.search, lines)):
        yield found[1], found[2] or ""


def _encoded_keys(lines: Iterable[str]) -> Iterator[str]:
    """Yield what looks like a key as events spell it; whether the decoded one exists is asked of S3."""
    for line in lines:
        for found in _ENCODED.findall(line):
            if unquote_plus(found) != found:
                yield found.rstrip(".:;")


def _search(asking: Asking, group: str, pattern: str, start_ms: int) -> Iterator[str]:
    client, token = asking.client("logs"), ""
    for _ in range(MAX_PAGES):
        more = {"nextToken": token} if token else {}
        answer = asking.ask(
            f"log group {group}",
            lambda more=more: client.filter_log_events(  # type: ignore[misc]
                logGroupName=group, startTime=start_ms, filterPattern=pattern, limit=PAGE, **more
            ),
        )
        for event in (answer or {}).get("events", ()):
            yield event["message"]
        token = (answer or {}).get("nextToken", "")
        if not token:
            return
