"""The harness sees what it is there to see: with the code broken in one place, a few seeds break the law.

Each of these mistakes is mended by `audit --heal`, so only what is judged before any healing shows it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from imgpipe.runtime import row, steps, tidy, writer
from imgpipe.runtime.settings import Settings
from imgpipe.runtime.store import Store
from tests.faults.law import simulation


def delete_what_is_named(patch: pytest.MonkeyPatch) -> None:
    """Tidy deletes whatever it is told to, however late."""
    patch.setattr(tidy, "kept_apart", lambda keys, *_: keys)


def write_blindly(patch: pytest.MonkeyPatch) -> None:
    """The writer overwrites what another one has written since it read."""

    def put(after: row.Row, _: int | None, store: Store, settings: Settings) -> bool:
        stored = store.get_item(settings.table, after["key"], row.SK_IMAGE)
        rev = row.load(stored)[1] if stored else None
        return store.put_item(settings.table, row.to_item(after, (rev or 0) + 1), rev=rev)

    patch.setattr(writer, "_put", put)


def swallow_a_letter(patch: pytest.MonkeyPatch) -> None:
    """A rejection that can't be sent to its queue is acknowledged all the same."""
    reject = steps._Worker._reject

    def quietly(*given: Any) -> None:
        with contextlib.suppress(simulation.FaultError):
            reject(*given)

    patch.setattr(steps._Worker, "_reject", quietly)


def order_by_the_functions_clock(patch: pytest.MonkeyPatch) -> None:
    """Which upload is newer is read off the clock of the function that worked on it."""
    patch.setattr(
        row, "_place", lambda made: (made["updated_at"], made["sequencer"], made["removed"])
    )


MISTAKES: dict[Callable[[pytest.MonkeyPatch], None], tuple[str, tuple[int, ...]]] = {
    delete_what_is_named: ("lost output", (2, 20, 41)),
    write_blindly: ("lost", (19, 32, 69)),
    swallow_a_letter: ("no letter", (35, 44, 92)),
    order_by_the_functions_clock: ("lost", (37, 65, 69)),
}


@pytest.mark.fault("F-16", "F-20", "F-33", "F-47")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda it: it.__name__)
def test_a_mistake_that_healing_mends_is_seen(
    mistake: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, seeds = MISTAKES[mistake]
    for seed in seeds:
        assert not simulation.run(seed).broken, f"seed {seed} is broken before the mistake is made"
    mistake(monkeypatch)
    kinds = Counter(each.kind for seed in seeds for each in simulation.run(seed).broken)
    assert kinds[kind], kinds
