"""What helps letters of a kind: not each of them is helped by being sent again. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from imgpipe.operate.dlq.letters import Letter

_DENIED = re.compile(r"Access ?Denied|not authorized to perform")
DOCTOR = "imgpipe doctor"


def is_denied(letter: Letter) -> bool:
    """Whether its work failed because something wasn't allowed: sent again before that is mended, it fails again."""
    return bool(_DENIED.search(f"{letter.error} {letter.reason} {letter.message}"))


def words(letters: Collection[Letter], group: str = "") -> list[str]:
    """Return what to run, a line for each kind among `letters`; those that are of one `group` name it."""
    refused = [it for it in letters if it.kind == "rejected"]
    denied = [it for it in letters if it.kind != "rejected" and is_denied(it)]
    lines = []
    if denied:
        lines.append(f"{DOCTOR} names what was denied, and what mends it; then redrive")
    if len(refused) + len(denied) < len(letters):
        chosen = f"--group {group} " if group else ""
        more = "" if group else ", or --group GROUP with list, redrive, purge, rescue"
        lines.append(f"imgpipe dlq redrive {chosen}--canary{more}")
    if refused:
        name = group or "GROUP"
        lines.append(
            f"imgpipe dlq show {refused[0].id[:8]}; what was refused stays until its code or settings change: "
            f"imgpipe reprocess, or imgpipe dlq redrive --group {name} --force"
        )
    return lines
