"""Which of what the functions said about a key is about the version that is asked for. Pure.

A key may be uploaded again, or removed, while logs of a former version are younger than the search begins. Lines that
name a version decide. A line without one (the writer's, of an older release; Lambda's own) goes with its invocation,
and that by the time it began.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from imgpipe.deploy.names import WRITER
from imgpipe.operate.why.facts import Attempt

if TYPE_CHECKING:
    from imgpipe.operate.log_search import Invocation, Line
    from imgpipe.operate.why.facts import Facts

SKEW = timedelta(seconds=60)
"""How far the clocks of S3 and of the logs may be apart."""
REMOVED = "removed"
"""What the writer calls the result that tells of a removal."""


def attempt(run: Invocation, known: Facts) -> Attempt | None:
    """Return what an invocation said about the version; None where it was about another one."""
    lines = run.about({known.key})
    judged = [(line, _is_about(run, line, known)) for line in lines]
    sure = [it for line, it in judged if it is not None or _tells_of(run, line)]
    if True not in sure and ((sure and None not in sure) or not _in_time(run, known)):
        return None
    return Attempt(run, tuple(line for line, it in judged if it is not False))


def _is_about(run: Invocation, line: Line, known: Facts) -> bool | None:
    """Say whether a line is about the version; None where it doesn't tell."""
    subject, version, step = known.subject, line.told.get("version_id"), _tells_of(run, line)
    if version and subject is not None:
        return bool(version == subject.id)
    removed = subject is None or subject.marker
    if step and removed != (step == REMOVED):
        return False
    return True if step == REMOVED else None


def _tells_of(run: Invocation, line: Line) -> str:
    """Return the step whose result the writer began with in this line."""
    begins = run.function == WRITER and line.told.get("event") == "start"
    return str(line.told.get("step", "")) if begins else ""


def _in_time(run: Invocation, known: Facts) -> bool:
    """Say whether it began while the version was the latest. Clocks are trusted where a former version is at stake."""
    subject = known.subject
    if subject is None:
        return True
    former = any(it.at < subject.at for it in known.versions)
    later = [it.at for it in known.versions if it.at > subject.at]
    began = run.started
    return began >= (subject.at if former else subject.at - SKEW) and all(
        began < at for at in later
    )
