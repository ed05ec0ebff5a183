"""What is asked of an upload beside being sent: that somebody hears of its end, that it can be waited for.

What the pipeline, as declared, can't do is refused before anything is sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgpipe.deploy import steps
from imgpipe.errors import UsageError
from imgpipe.operate.upload.sources import NotSent, Source
from imgpipe.runtime.matching import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from imgpipe.deploy.model import Spec
    from imgpipe.operate.upload.sources import LeftOut

NO_STEP = "no_step"


def uploader(spec: Spec, address: str) -> str:
    """Return the address as the notifier compares it. Raises UsageError unless the pipeline tells its uploaders."""
    known = address.strip().lower()
    if known not in {each.lower() for each in spec.notify.uploaders}:
        raise UsageError(
            f"--notify {address}",
            "pipeline.yaml does not name it under notify.uploaders, so nobody would be told",
            hint=f"add `notify: {{uploaders: [{known}]}}` to pipeline.yaml, then: imgpipe up",
        )
    return known


def tell(
    found: Iterable[Source | NotSent | LeftOut], address: str
) -> Iterator[Source | NotSent | LeftOut]:
    """Have `address` hear of what becomes of each file."""
    return (replace(item, notify=address) if isinstance(item, Source) else item for item in found)


def worked_on(
    found: Iterable[Source | NotSent | LeftOut], spec: Spec
) -> Iterator[Source | NotSent | LeftOut]:
    """Turn the files that no step works on, whose end would never come, into files that aren't sent."""
    limited = steps.matches(spec, spec.created)
    rules = {name: limited.get(name, {}) for name in spec.created}
    for item in found:
        if isinstance(item, Source) and not any(matches(it, item.key) for it in rules.values()):
            yield _unworked(item, rules)
        else:
            yield item


def _unworked(item: Source, rules: Mapping[str, Mapping[str, Any]]) -> NotSent:
    wanted = "; ".join(f"`{name}` takes {_words(rule)}" for name, rule in rules.items())
    why = f"no step works on {item.key}: {wanted or 'none is for uploads'}; it can't be waited for"
    return NotSent(item.path, item.key, NO_STEP, why)


def _words(rule: Mapping[str, Any]) -> str:
    endings = ", ".join(f"*{suffix}" for suffix in rule["suffixes"])
    return " ".join(
        part for part in (endings, f"below {rule['prefix']}" if rule["prefix"] else "") if part
    )
