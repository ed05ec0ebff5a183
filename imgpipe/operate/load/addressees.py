"""Who hears of a burst: notices of made-up uploads go to the same people as those of real ones."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.deploy.model import Notice, Spec

WORDS = {"email": "e-mail", "sms": "SMS", "application": "mobile push"}


def told(spec: Spec) -> str:
    """Return who will hear of a burst, and how often; nothing if nobody does."""
    notify = spec.notify
    each = _many(notify.uploaded, notify.completed)
    troubled = _many(notify.failed)
    parts = [f"{each} will get notices of it"] if each else []
    parts += [f"{troubled} {'also ' * bool(each)}if images fail"] if troubled else []
    if not parts:
        return ""
    together = f"more than {notify.digest} of a kind within {notify.window} s come as one digest"
    return f"{', and '.join(parts)}; {together}"


def _many(*notices: Notice) -> str:
    ways = Counter(way for way, _ in {one for notice in notices for one in notice.addresses})
    count = sum(ways.values())
    how = ", ".join(f"{many} by {WORDS[way]}" for way, many in sorted(ways.items()))
    return f"{count} address{'es' * (count > 1)} ({how})" if count else ""
