"""At most so many run at once, and nobody waits for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from imgpipe.local.lambda_runtime.turns import Turns

DEADLINE_S = 20


@given(
    count=st.integers(1, 4),
    names=st.lists(st.sampled_from("abc"), min_size=1, max_size=24),
)
def test_never_more_run_than_there_are_turns_and_all_run(count: int, names: list[str]) -> None:
    turns = Turns(count)
    lock, running, most, done = threading.Lock(), 0, 0, 0

    def work(name: str) -> None:
        nonlocal running, most, done
        with turns.one(name):
            with lock:
                running += 1
                most = max(most, running)
            with lock:
                running -= 1
                done += 1

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(work, names))

    assert most <= count
    assert done == len(names)
    assert (turns.running(), turns.waiting()) == (0, 0)


def test_a_free_turn_goes_to_the_function_with_the_fewest_running() -> None:
    turns = Turns(2)
    releases = [threading.Event(), threading.Event()]
    order: list[str] = []
    lock = threading.Lock()

    def hold(release: threading.Event) -> None:
        with turns.one("busy"):
            release.wait(DEADLINE_S)

    def note(name: str) -> None:
        with turns.one(name), lock:
            order.append(name)

    holders = [threading.Thread(target=hold, args=(each,)) for each in releases]
    for thread in holders:
        thread.start()
    _until(lambda: turns.running() == 2)
    waiters = []
    for number, name in enumerate(["busy", "busy", "quiet"], 1):
        waiters.append(threading.Thread(target=note, args=(name,)))
        waiters[-1].start()
        _until(lambda wanted=number: turns.waiting() == wanted)
    releases[0].set()
    _until(lambda: len(order) == 3)
    releases[1].set()
    for thread in holders + waiters:
        thread.join(DEADLINE_S)

    assert order == ["quiet", "busy", "busy"]


def test_one_that_waits_for_another_does_not_keep_it_from_running() -> None:
    turns = Turns(1)
    with turns.one("caller"), turns.one("called", depth=1):
        assert turns.running() == 2


def _until(condition: object) -> None:
    ended = threading.Event()
    for _ in range(DEADLINE_S * 1000):
        if condition():  # type: ignore[operator]
            return
        ended.wait(0.001)
    raise AssertionError("the condition didn't come true")
