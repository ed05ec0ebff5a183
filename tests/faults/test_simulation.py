"""The law over fixed seeds of the simulation; `make soak` runs many more."""

from __future__ import annotations

from collections import Counter

import pytest

from imgpipe.runtime import row
from tests.faults.law import simulation

SEEDS, LUMP = 160, 20


@pytest.mark.parametrize("first", range(0, SEEDS, LUMP))
@pytest.mark.fault(
    "F-11",
    "F-16",
    "F-19",
    "F-20",
    "F-21",
    "F-22",
    "F-23",
    "F-29",
    "F-30",
    "F-32",
    "F-36",
    "F-38",
    "F-41",
    "F-45",
    "F-46",
    "F-48",
    "F-49",
)
def test_the_law_holds_after_every_storm(first: int) -> None:
    for seed in range(first, first + LUMP):
        outcome = simulation.run(seed)
        broken = "\n".join(map(str, outcome.broken))
        again = f"python -m tests.faults.law.simulation {seed} --trace"
        assert not outcome.broken, f"seed {seed}:\n{broken}\nto see it again: {again}"
        assert sum(outcome.statuses.values()) == outcome.sizes["uploads"]


def test_much_is_judged_before_any_healing() -> None:
    """A weather in which every key loses a message would leave nothing to judge."""
    judged = sum(simulation.run(seed).judged for seed in range(20))
    assert judged > 20


def test_a_seed_replays() -> None:
    one, other = simulation.run(5), simulation.run(5)
    assert (one.faults, one.statuses) == (other.faults, other.statuses)
    assert sum(one.faults.values()) > 5


def test_the_simulation_finds_a_pipeline_that_loses_things(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that the last result overwrites is what a mistaken merge would make."""
    monkeypatch.setattr(row, "_join", lambda _, other: other)
    kinds = Counter(each.kind for seed in range(10) for each in simulation.run(seed).broken)
    assert kinds["lost"]


def test_the_simulation_finds_a_notice_that_goes_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation.MemoryStore, "put_item", _always)
    kinds = Counter(each.kind for seed in range(10) for each in simulation.run(seed).broken)
    assert kinds["told twice"]


def _always(self: simulation.MemoryStore, table: str, item: object, *, rev: int | None) -> bool:
    def do() -> None:
        self._memory.items[item["pk"]["S"], item["sk"]["S"]] = dict(item)  # type: ignore[index, call-overload]

    self._call("put_item", do)
    return True
