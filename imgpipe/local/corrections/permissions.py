"""What roles may do, remembered for a moment: the cloud acts with them at every batch and every line of a log, and
policies rarely change.
"""

from __future__ import annotations

import time
from typing import Any

from imgpipe.local.corrections import send

REMEMBERED_MAX = 500
REMEMBER_S = 2.0
"""How long an answer is good. A change of IAM forgets them all (`principals`)."""

_known: dict[tuple[str, str, str], tuple[float, bool]] = {}


def allow(role: str, action: str, arn: str, policy: Any = None) -> bool:
    """Return whether a role's policies, together with the resource's own, allow the action."""
    now = time.monotonic()
    asked, allowed = _known.get((role, action, arn), (-REMEMBER_S, False))
    if now - asked >= REMEMBER_S:
        allowed = send.role_may(role, action, arn, policy)
        if len(_known) >= REMEMBERED_MAX:
            _known.clear()
        _known[role, action, arn] = (now, allowed)
    return allowed


def forget() -> None:
    _known.clear()
