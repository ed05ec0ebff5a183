"""Which environment serves whom, and which are let go."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgpipe.local.lambda_runtime.function import Function, Invocation, Outcome
from imgpipe.local.lambda_runtime.pool import ClosedError, Pool
from imgpipe.local.lambda_runtime.turns import Turns
from tests.unit.local.functions import call, until
from tests.unit.local.test_lines import THUMBS


@dataclass(eq=False)
class Fake:
    """An environment without a process. `gate` holds its invocations."""

    function: Function
    gate: threading.Event
    idle_since: float = 0.0
    alive: bool = True
    served: int = 0
    closed: bool = False

    def invoke(self, invocation: Invocation) -> Outcome:
        self.gate.wait(20)
        self.served += 1
        if invocation.payload == b'"die"':
            self.alive = False
        return Outcome(payload=b"null")

    def is_alive(self) -> bool:
        return self.alive

    def kill(self) -> None:
        self.alive = False

    def close(self) -> None:
        self.closed = True


class Yard:
    def __init__(self, turns: int = 2, **settings: float) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.made: list[Fake] = []
        self.turns = Turns(turns)
        self.pool = Pool(self._make, self.turns, **settings)  # type: ignore[arg-type]

    def _make(self, function: Function) -> Fake:
        self.made.append(Fake(function, self.gate))
        return self.made[-1]


def _changed(**changes: object) -> Function:
    fields = {name: getattr(THUMBS, name) for name in Function.__dataclass_fields__}
    return Function(**{**fields, **changes})


def test_an_idle_environment_is_used_again() -> None:
    yard = Yard()
    for _ in range(3):
        yard.pool.run(THUMBS, call())

    assert [fake.served for fake in yard.made] == [3]
    assert yard.pool.warm() == {"thumbs": 1}


def test_a_dead_one_is_replaced_and_cleaned_up() -> None:
    yard = Yard()
    yard.pool.run(THUMBS, call("die"))
    yard.pool.run(THUMBS, call())

    assert [(fake.served, fake.closed) for fake in yard.made] == [(1, True), (1, False)]


def test_a_changed_function_gets_a_new_one() -> None:
    yard = Yard()
    yard.pool.run(THUMBS, call())
    yard.pool.run(_changed(code=Path("/other")), call())

    assert len(yard.made) == 2


def test_dropping_a_function_lets_its_idle_ones_go_now_and_its_busy_ones_after() -> None:
    yard = Yard()
    yard.pool.run(THUMBS, call())
    yard.gate.clear()
    with ThreadPoolExecutor(2) as workers:
        busy = workers.submit(yard.pool.run, THUMBS, call())
        until(lambda: yard.turns.running() == 1)
        other = workers.submit(yard.pool.run, _changed(name="writer", arn="arn:writer"), call())
        until(lambda: len(yard.made) == 2)
        yard.pool.drop(THUMBS.arn)
        yard.gate.set()
        busy.result()
        other.result()

    assert [fake.closed for fake in yard.made] == [True, False]


def test_a_burst_makes_no_more_environments_than_there_are_turns() -> None:
    yard = Yard(turns=2)
    yard.gate.clear()
    with ThreadPoolExecutor(20) as workers:
        results = [workers.submit(yard.pool.run, THUMBS, call()) for _ in range(20)]
        until(lambda: yard.turns.waiting() == 18)
        yard.gate.set()
        for result in results:
            result.result()

    assert len(yard.made) == 2
    assert sum(fake.served for fake in yard.made) == 20


def test_the_longest_idle_goes_when_there_are_too_many() -> None:
    yard = Yard(idle_max=1)
    yard.pool.run(THUMBS, call())
    yard.pool.run(_changed(name="writer", arn="arn:writer"), call())

    assert [fake.closed for fake in yard.made] == [True, False]


def test_an_idle_one_is_let_go_after_a_while() -> None:
    yard = Yard(idle_s=0.05)
    yard.pool.run(THUMBS, call())

    until(lambda: yard.made[0].closed)
    assert yard.pool.warm() == {}


def test_what_a_stop_kills_comes_to_no_end_that_counts() -> None:
    yard = Yard(parked_s=0.01)
    yard.gate.clear()
    with ThreadPoolExecutor(1) as workers:
        busy = workers.submit(yard.pool.run, THUMBS, call())
        until(lambda: yard.turns.running() == 1 and yard.made)
        yard.pool.close()
        yard.gate.set()
        with pytest.raises(ClosedError):
            busy.result()

    assert yard.made[0].closed
    with pytest.raises(ClosedError):
        yard.pool.run(THUMBS, call())


def test_closing_ends_all() -> None:
    yard = Yard()
    yard.pool.run(THUMBS, call())
    yard.pool.close()

    assert yard.made[0].closed
