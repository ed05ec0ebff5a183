"""The law over real processes in a storm of faults, for a few fixed seeds; `make soak` runs many more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.law import storm
from tests.faults.law.harness import Studio, digest, etag, pictures
from tests.photos import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.xdist_group("storm"),
]
SEEDS = (33, 368)
FIGURES = (1, 33, 143, 368)
"""The seeds of `make guarantees`."""


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with storm.studio() as made:
        yield made


def drawn(seeds: tuple[int, ...]) -> Counter[tuple[str, ...]]:
    return Counter(fault for seed in seeds for fault in storm.schedule(seed).values())


def test_the_seeds_bring_every_fault() -> None:
    assert {name for name, *_ in drawn(SEEDS)} == {name for name, _ in storm.FAULTS}
    assert {("errors", kind) for kind in storm.KINDS_OF["errors"]} <= drawn(SEEDS).keys()


def test_the_seeds_of_the_figures_bring_every_kind_of_every_fault_and_each_fault_thrice() -> None:
    found = drawn(FIGURES)
    kinds = {(name, kind) for name, some in storm.KINDS_OF.items() for kind in some}
    alone = {(name,) for name, _ in storm.FAULTS if name not in storm.KINDS_OF}
    assert found.keys() == kinds | alone
    often = Counter(name for name, *_ in found.elements())
    assert min(often.values()) >= 3


def test_the_figures_are_of_these_seeds() -> None:
    told = f"--storms {','.join(map(str, FIGURES))} --write"
    assert told in (ROOT / "Makefile").read_text()


def test_a_quiet_run_makes_what_the_storms_are_compared_with(studio: Studio) -> None:
    for name, data in pictures().items():
        studio.upload(f"incoming/quiet/{name}.jpg", data)
    studio.wait_until_quiet()
    state, quiet = studio.seen(), studio.quiet()
    rows = {row["key"]: row for row in state.rows if "/quiet/" in row["key"]}
    assert len(rows) == len(pictures())
    for name, data in pictures().items():
        row = rows[f"incoming/quiet/{name}.jpg"]
        wanted = quiet[etag(data)].get("plain", {})
        assert row["status"] == ("done" if wanted else "rejected")
        made = {variant: state.outputs[it["key"]] for variant, it in row["outputs"].items()}
        assert made == {variant: it for step in wanted.values() for variant, it in step.items()}
    assert digest(b"") not in state.outputs.values()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.fault(
    "F-9",
    "F-11",
    "F-12",
    "F-13",
    "F-16",
    "F-17",
    "F-27",
    "F-30",
    "F-36",
    "F-37",
    "F-38",
    "F-39",
    "F-48",
)
def test_the_law_holds_after_a_storm(studio: Studio, seed: int, tmp_path: Path) -> None:
    outcome = storm.run(studio, seed)
    storm.keep(studio, tmp_path)
    broken = "\n".join(map(str, outcome.broken))
    again = f"python -m tests.faults.law.storm {seed} --log storm"
    assert not outcome.broken, f"seed {seed}:\n{broken}\nto see it again: {again}\n{tmp_path}"
    assert sum(outcome.statuses.values()) == outcome.sizes["uploads"]
    assert outcome.faults.total() > 5
