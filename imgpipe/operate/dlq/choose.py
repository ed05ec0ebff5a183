"""Which letters an operator means: by id, group, step, error, key, queue or age; all of the given conditions must hold.

Pure, but for the time: ages are counted from `now`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from imgpipe.errors import MissingError, UsageError
from imgpipe.operate import images
from imgpipe.operate.dlq.groups import fingerprint
from imgpipe.runtime.errors import WORDS, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.operate.dlq.letters import Home, Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Conditions on letters. An id may be cut short as long as it means one letter; a key may lack the prefix, and be a
    pattern (`album/*.jpg`). Ages are in seconds since the letter was first seen.
    """

    ids: tuple[str, ...] = ()
    step: str | None = None
    error: str | None = None
    key: str | None = None
    queue: str | None = None
    prefix: str = ""  # the pipeline's, for keys
    group: str | None = None
    older_s: float | None = None
    newer_s: float | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def matches(self, letter: Letter) -> bool:
        return (
            (not self.ids or any(letter.id.startswith(wanted) for wanted in self.ids))
            and (self.step is None or self.step in {letter.branch, *letter.steps})
            and (self.error is None or _contains(self.error, letter))
            and (self.key is None or _means(self.key, self.prefix, letter.key or ""))
            and (self.group is None or fingerprint(letter).startswith(self.group))
            and self._of_age(letter)
            and (self.queue is None or letter.queue == self.queue)
        )

    def _of_age(self, letter: Letter) -> bool:
        age_s = (self.now - letter.first_seen).total_seconds()
        old_enough = self.older_s is None or age_s >= self.older_s
        return old_enough and (self.newer_s is None or age_s <= self.newer_s)


def chosen(letters: Sequence[Letter], choice: Choice) -> list[Letter]:
    """Return the letters that `choice` means. Raises MissingError for an id that means none, UsageError for one that
    means several.
    """
    for wanted in choice.ids:
        known = [letter.id for letter in letters if letter.id.startswith(wanted)]
        if not known:
            raise MissingError(
                f"dead letter {wanted}", "there is none with this id", hint="imgpipe dlq list"
            )
        if len(known) > 1:
            raise UsageError(
                f"dead letter {wanted}", f"{len(known)} ids begin so", hint="give more of the id"
            )
    if choice.group and not any(fingerprint(each).startswith(choice.group) for each in letters):
        raise MissingError(
            f"group {choice.group}", "no dead letter belongs to it", hint="imgpipe dlq groups"
        )
    return [letter for letter in letters if choice.matches(letter)]


def homes_for(homes: Sequence[Home], choice: Choice) -> list[Home]:
    """Return the queues that can hold what `choice` means. Raises UsageError for a queue or step that isn't ours."""
    queues = {home.name for home in homes}
    if choice.queue is not None and choice.queue not in queues:
        raise UsageError(
            f"queue {choice.queue!r}", f"the dead-letter queues are {', '.join(sorted(queues))}"
        )
    steps = {name for home in homes for name in (home.branch, *home.steps) if name}
    if choice.step is not None and choice.step not in steps:
        raise UsageError(f"step {choice.step!r}", f"the steps are {', '.join(sorted(steps))}")
    return [
        home
        for home in homes
        if choice.queue in (None, home.name)
        and (
            choice.step is None or home.holds_rejected or choice.step in (home.branch, *home.steps)
        )
    ]


def _means(wanted: str, prefix: str, key: str) -> bool:
    """Whether `wanted`, a key or a pattern with `*`, `?` or `[…]`, means `key`."""
    known = images.candidates(prefix, wanted)
    return key in known or any(fnmatchcase(key, pattern) for pattern in known)


def _contains(wanted: str, letter: Letter) -> bool:
    in_words = WORDS[Reason(letter.reason)] if letter.reason in set(Reason) else ""
    return any(
        wanted.casefold() in text.casefold()
        for text in (letter.error, letter.reason, letter.message, in_words)
    )
