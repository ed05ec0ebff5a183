"""What a check finds, and what a check is."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgpipe.operate.doctor.scene import Scene


_COMMAND = re.compile(r"(?:imgpipe|aws) ")
_OPEN = re.compile(r" (?:NAME|ADDRESS|TOPIC|KEY)\b|file://|^imgpipe up, with ")
_PART = re.compile(r"'[^']*'|\"[^\"]*\"|[^'\",;]+|[,;'\"]")


class Severity(StrEnum):
    """BROKEN: work is lost or stands still. RISK: it will be, when something else happens. COST: money for nothing."""

    BROKEN = "broken"
    RISK = "risk"
    COST = "cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a check says; which check it was is added by who calls it. `command` mends it, or shows more."""

    severity: Severity
    what: str
    why: str
    command: str


def parted(words: str) -> tuple[str, str]:
    """Part what mends a fault into a command that can be run as it stands, or "", and what else a person has to do.

    A command in which something is still to be named, or that helps only after an edit, is nothing to be run.
    """
    if not _COMMAND.match(words) or _OPEN.search(words):
        return "", words
    ends = next((it.start() for it in _PART.finditer(words) if it[0] in ",;"), len(words))
    return words[:ends], words[ends:].lstrip(",; ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault with the id of the check that found it: its section in docs/doctor.md."""

    id: str
    severity: Severity
    what: str
    why: str
    command: str

    def as_json(self) -> dict[str, str | None]:
        command, advice = parted(self.command)
        return {**asdict(self), "command": command or None, "advice": advice or None}


@dataclass(frozen=True, slots=True)
class Check:
    """`about` says in a few words what the check makes sure of: a healthy pipeline's line."""

    id: str
    about: str
    run: Callable[[Scene], Iterator[Fault]]

    def findings(self, scene: Scene) -> list[Finding]:
        return [
            Finding(
                id=self.id,
                severity=fault.severity,
                what=fault.what,
                why=fault.why,
                command=fault.command,
            )
            for fault in self.run(scene)
        ]
