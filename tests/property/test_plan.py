"""Laws of the plan: wherever it stops, in whatever order its branches ran, planning again gets there."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.deploy import resources as r
from imgpipe.deploy.plan import DATA_KINDS, Action, Verb, pending, plan, plan_down
from tests.providers.samples import EVERYTHING, FUNCTION, MAPPING, QUEUE, SAMPLES

World = dict[r.Key, r.Resource]

TIMEOUTS = (30, 60, 300)
VARIANTS: dict[r.Key, tuple[r.Resource, ...]] = {
    **{key: (one,) for key, one in EVERYTHING.items()},
    **{sample.wanted.key: (sample.wanted, *sample.changed) for sample in SAMPLES},
}


def _with_timeout(world: World, timeout_s: int) -> World:
    """Return the world with a function's timeout and six times that on its queue, as AWS asks."""
    if FUNCTION.key in world:
        world[FUNCTION.key] = replace(world[FUNCTION.key], timeout_s=timeout_s)
    if QUEUE.key in world:
        world[QUEUE.key] = replace(world[QUEUE.key], visibility_s=6 * timeout_s)
    return world


def _closed(world: World) -> World:
    """Return the world with all that its resources need."""
    todo = list(world.values())
    while todo:
        for need in todo.pop().needs:
            if need not in world:
                world[need] = EVERYTHING[need]
                todo.append(world[need])
    return world


worlds = st.builds(
    lambda chosen, timeout_s: _with_timeout(_closed(dict(chosen)), timeout_s),
    st.lists(
        st.sampled_from(list(VARIANTS)).flatmap(
            lambda key: st.tuples(st.just(key), st.sampled_from(VARIANTS[key]))
        ),
        unique_by=lambda pair: pair[0],
    ),
    st.sampled_from(TIMEOUTS),
)
law = settings(max_examples=80, deadline=None)
seeds = st.integers(0, 2**32)


def _carried_out(
    world: Mapping[r.Key, r.Resource], actions: list[Action], seed: int
) -> Iterator[World]:
    """Yield the world after each action, run in any order that `after` allows."""
    chance, now = random.Random(seed), dict(world)
    todo = {action.key: action for action in pending(actions)}
    while todo:
        ready = [action for action in todo.values() if not action.after & todo.keys()]
        action = chance.choice(ready)
        del todo[action.key]
        if action.verb is Verb.DELETE:
            assert not [one for one in now.values() if action.key in one.needs], (
                f"in use: {action.key}"
            )
            del now[action.key]
        else:
            missing = [need for need in action.resource.needs if need not in now]
            assert not missing, f"{action.key} before {missing}"
            now[action.key] = action.resource
        yield dict(now)


def _wanted(desired: World, observed: World) -> World:
    """Return what must be there in the end: what is declared, and data that nobody may delete."""
    return {key: one for key, one in observed.items() if key.kind in DATA_KINDS} | desired


@law
@given(desired=worlds, observed=worlds, seed=seeds)
def test_a_plan_makes_what_is_declared(desired: World, observed: World, seed: int) -> None:
    *_, last = [dict(observed), *_carried_out(observed, plan(desired, observed), seed)]
    assert last == _wanted(desired, observed)


@law
@given(desired=worlds, observed=worlds, done=st.integers(0, 40), seed=seeds)
@pytest.mark.fault("F-1", "F-2")
def test_a_crash_at_any_action_is_repaired_by_running_again(
    desired: World, observed: World, done: int, seed: int
) -> None:
    steps = [dict(observed), *_carried_out(observed, plan(desired, observed), seed)]
    crashed = steps[min(done, len(steps) - 1)]
    *_, last = [crashed, *_carried_out(crashed, plan(desired, crashed), seed + 1)]
    assert last == _wanted(desired, observed)


@law
@given(desired=worlds, observed=worlds, seed=seeds)
def test_nothing_is_left_to_do_afterwards(desired: World, observed: World, seed: int) -> None:
    *_, last = [dict(observed), *_carried_out(observed, plan(desired, observed), seed)]
    assert pending(plan(desired, last)) == []


@law
@given(desired=worlds, observed=worlds)
def test_the_list_itself_is_in_a_safe_order(desired: World, observed: World) -> None:
    done: set[r.Key] = set()
    changing = {action.key for action in pending(plan(desired, observed))}
    for action in pending(plan(desired, observed)):
        assert action.after & changing <= done
        done.add(action.key)


@law
@given(desired=worlds, observed=worlds, seed=seeds)
def test_a_queue_is_never_visible_sooner_than_its_function_may_take(
    desired: World, observed: World, seed: int
) -> None:
    """Lambda refuses either change otherwise: visibility goes up first and comes down last."""
    for world in _carried_out(observed, plan(desired, observed), seed):
        queue, function = world.get(QUEUE.key), world.get(FUNCTION.key)
        if MAPPING.key in world and isinstance(queue, r.Queue) and isinstance(function, r.Function):
            assert queue.visibility_s >= function.timeout_s


@law
@given(observed=worlds, done=st.integers(0, 40), seed=seeds)
@pytest.mark.fault("F-5")
def test_taking_down_ends_with_nothing_wherever_it_was_interrupted(
    observed: World, done: int, seed: int
) -> None:
    steps = [dict(observed), *_carried_out(observed, plan_down(observed, {}), seed)]
    crashed = steps[min(done, len(steps) - 1)]
    *_, last = [crashed, *_carried_out(crashed, plan_down(crashed, {}), seed + 1)]
    assert last == {}


@law
@given(observed=worlds, seed=seeds)
def test_data_goes_last_and_what_is_kept_stays(observed: World, seed: int) -> None:
    kept = {key: "it holds data" for key in observed if key.kind == "table"}
    actions = plan_down(observed, kept)
    verbs = [action.key.kind in DATA_KINDS for action in pending(actions)]
    assert verbs == sorted(verbs)
    *_, last = [dict(observed), *_carried_out(observed, actions, seed)]
    assert last.keys() == kept.keys()
