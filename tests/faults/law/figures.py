"""Run both harnesses and write down what they came to: `docs/guarantees.json`, for `docs/guarantees.py`.

python -m tests.faults.law.figures --simulations 0-999 --storms 1,33,143,368 --write      what `make guarantees` does
python -m tests.faults.law.figures --simulations 0-9999 --storms 1-50            what `make soak` does
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults.law import simulation, storm
from tests.photos import ROOT

FILE = ROOT / "docs" / "guarantees.json"
LUMP = 50


class Sum:
    """The figures of one harness over its seeds."""

    def __init__(self, name: str, seeds: str) -> None:
        self.name, self.seeds = name, seeds
        self.faults: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.told: list[str] = []
        self.began = self.ended = time.monotonic()

    def add(self, seed: int, outcome: dict[str, Any], again: str) -> None:
        self.ended = time.monotonic()
        self.faults.update(outcome["faults"])
        self.sizes.update(outcome["sizes"])
        for breach in outcome["broken"]:
            self.broken[breach.partition(":")[0]] += 1
            self.told.append(f"seed {seed}: {breach}\n  again: {again}")

    def as_json(self) -> dict[str, Any]:
        return {
            "seeds": self.seeds,
            "faults": dict(sorted(self.faults.items())),
            "sizes": dict(sorted(self.sizes.items())),
            "broken": dict(sorted(self.broken.items())),
            "seconds": round(self.ended - self.began),
        }


def numbers(text: str) -> list[int]:
    """Return the seeds in `1,5,10-12`."""
    found: list[int] = []
    for part in filter(None, text.replace(" ", ",").split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def simulated(seeds: list[int]) -> list[tuple[int, dict[str, Any]]]:
    """Run some seeds of the simulation, in a process of its own."""
    found = []
    for seed in seeds:
        outcome = simulation.run(seed)
        told = {
            "faults": dict(+outcome.faults),
            "sizes": dict(outcome.sizes),
            "broken": [str(each) for each in outcome.broken],
        }
        found.append((seed, told))
    return found


def all_simulated(text: str) -> Sum:
    made, seeds = Sum("simulation", text), numbers(text)
    lumps = [seeds[start : start + LUMP] for start in range(0, len(seeds), LUMP)]
    with ProcessPoolExecutor(min(len(lumps) or 1, os.cpu_count() or 1)) as processes:
        for some in processes.map(simulated, lumps):
            for seed, outcome in some:
                again = f"python -m tests.faults.law.simulation {seed} --trace"
                made.add(seed, outcome, again)
            _say(f"simulation: {some[-1][0]}, {made.broken.total()} breaches")
    return made


def all_stormed(text: str) -> Sum:
    made, seeds = Sum("storm", text), numbers(text)
    for outcome in _deltas(storm.runs(seeds)):
        again = f"python -m tests.faults.law.storm {outcome['seed']} --log storm"
        made.add(outcome["seed"], outcome, again)
        _say(f"storm: {outcome['seed']}, {made.broken.total()} breaches, {outcome['seconds']} s")
    return made


def _deltas(outcomes: Iterable[storm.Outcome]) -> Iterator[dict[str, Any]]:
    """Yield what each seed added: those after one another share a pipeline, until one breaks it."""
    before: Counter[str] = Counter()
    for outcome in outcomes:
        yield {**outcome.as_json(), "sizes": dict(outcome.sizes - before)}
        before = Counter() if outcome.broken else outcome.sizes


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def write(file: Path, sums: list[Sum], sources: Callable[[], str]) -> None:
    told = {
        "commit": commit(),
        "sources": sources(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "harnesses": {each.name: each.as_json() for each in sums},
    }
    file.write_text(json.dumps(told, indent=1) + "\n")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.law.figures",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--simulations", default="", metavar="SEEDS", help="such as 0-1499")
    parser.add_argument("--storms", default="", metavar="SEEDS", help="such as 1-5,9")
    parser.add_argument("--write", action="store_true", help="write docs/guarantees.json")
    given = parser.parse_args(arguments)
    sums = [all_simulated(given.simulations)] if given.simulations else []
    sums += [all_stormed(given.storms)] if given.storms else []
    for each in sums:
        sys.stdout.write(json.dumps({each.name: each.as_json()}) + "\n")
        for line in each.told:
            sys.stdout.write(f"{line}\n")
    broken = any(each.broken for each in sums)
    if given.write and not broken:
        from docs.guarantees import sources

        write(FILE, sums, sources)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
