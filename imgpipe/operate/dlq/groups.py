"""Failures of the same kind as one group: the same step, the same class of error, at the same place. Pure.

The place is the reason without what differs from image to image: names in quotes, numbers, ids. A thousand letters of
one fault are one group with one id, which is the same on every machine and at every time.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from imgpipe.operate.dlq.letters import Letter

ID_LENGTH = 6
EXAMPLES = 5
"""Keys of a group that its JSON names."""
_DIFFERS = re.compile(
    r"""'[^']*'|"[^"]*"|`[^`]*`        # what is quoted
      | \b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b   # ids
      | 0x[0-9a-fA-F]+
      | \S*/\S*                        # paths and keys
      | \d+(?:[.,]\d+)*""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Letters that failed alike, the oldest first."""

    id: str
    letters: tuple[Letter, ...]

    @property
    def step(self) -> str:
        """Return the step that failed; of rejected images, all that refused them."""
        return ", ".join(sorted({_where(letter) for letter in self.letters}))

    @property
    def error(self) -> str:
        return self.letters[0].error

    @property
    def reason(self) -> str:
        """Return the oldest letter's reason, as an example."""
        return self.letters[0].reason

    @property
    def images(self) -> list[str]:
        """Return the keys that its letters are about, each once: an image has a letter for each branch."""
        return list(dict.fromkeys(letter.key for letter in self.letters if letter.key))

    @property
    def first_seen(self) -> datetime:
        return self.letters[0].first_seen

    @property
    def expires(self) -> datetime:
        """Return when the first of them is gone."""
        return min(letter.expires for letter in self.letters)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "count": len(self.letters),
            "images": len(self.images),
            "step": self.step,
            "error": self.error or None,
            "reason": self.reason or None,
            "first_seen": iso(self.first_seen),
            "expires": iso(self.expires),
            "keys": self.images[:EXAMPLES],
        }


def place(reason: str) -> str:
    """Return `reason` without what differs between two failures at the same place."""
    return " ".join(_DIFFERS.sub("…", reason).split())


def fingerprint(letter: Letter) -> str:
    """Return the id of the group that `letter` belongs to."""
    # Whichever steps look at an image, what is wrong with it is one thing.
    where = letter.kind if letter.kind == "rejected" else _where(letter)
    text = "\n".join((where, letter.error, place(letter.reason)))
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def _where(letter: Letter) -> str:
    """Return the steps of a letter in one order: who names them, the event or the row, has an order of its own."""
    return ", ".join(sorted(letter.steps)) or letter.step


def grouped(letters: Iterable[Letter]) -> list[Group]:
    """Return the groups of `letters`, the largest first."""
    found: dict[str, list[Letter]] = {}
    for letter in letters:
        found.setdefault(fingerprint(letter), []).append(letter)
    made = [
        Group(
            id=name, letters=tuple(sorted(some, key=lambda letter: (letter.first_seen, letter.id)))
        )
        for name, some in found.items()
    ]
    return sorted(made, key=lambda group: (-len(group.letters), group.first_seen))
