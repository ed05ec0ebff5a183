"""Carrying out a plan: in parallel, telling what happens, ending well when something or somebody stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from imgpipe.deploy.apply import Event, StoppedError, apply, critical_path
from imgpipe.deploy.plan import Action, Verb
from imgpipe.deploy.providers.site import Site
from imgpipe.deploy.resources import Key, LogGroup, Place
from imgpipe.errors import CloudError, DeniedError

SITE = Site(clients=cast("Any", None), place=Place("1", "r"), prefix="p-", tags={})


def _action(name: str, *after: str) -> Action:
    needed = frozenset(Key("log_group", one) for one in after)
    resource = LogGroup(name=name, retention_days=1)
    return Action(verb=Verb.CREATE, resource=resource, reason="not there", after=needed)


def _names(events: list[Event], state: str) -> list[str]:
    return [event.action.key.name for event in events if event.state == state]


def _collect(
    perform: Callable[[Site, Action], None], *actions: Action
) -> tuple[list[Event], CloudError | None]:
    events: list[Event] = []
    try:
        events.extend(apply(SITE, actions, perform=perform))
    except CloudError as error:
        return events, error
    return events, None


def test_each_action_starts_when_all_it_waits_for_is_done() -> None:
    order: list[str] = []
    actions = [_action("c", "a", "b"), _action("a"), _action("b", "a")]
    events, error = _collect(lambda _site, action: order.append(action.key.name), *actions)

    assert error is None
    assert order == ["a", "b", "c"]
    assert _names(events, "done") == ["a", "b", "c"]


def test_independent_actions_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3)
    events, error = _collect(
        lambda _site, _action: cast("None", meeting.wait(timeout=20)),
        *(_action(name) for name in "abc"),
    )
    assert error is None
    assert sorted(_names(events, "done")) == ["a", "b", "c"]


def test_a_failure_stops_what_depends_on_it_and_nothing_else() -> None:
    def perform(_site: Site, action: Action) -> None:
        if action.key.name == "bad":
            raise DeniedError("create log_group bad", "CreateLogGroup: AccessDenied: no")

    actions = [_action("bad"), _action("child", "bad"), _action("good"), _action("next", "good")]
    events, error = _collect(perform, *actions)

    assert sorted(_names(events, "done")) == ["good", "next"]
    assert _names(events, "skipped") == ["child"]
    assert isinstance(error, DeniedError)
    assert str(error) == "create log_group bad: CreateLogGroup: AccessDenied: no"
    assert error.hint == "imgpipe up: it goes on where it stopped"


def test_several_failures_are_counted() -> None:
    def perform(_site: Site, action: Action) -> None:
        raise CloudError(f"create {action.key}", "no")

    _, error = _collect(perform, _action("a"), _action("b"))
    assert "(and 1 more)" in str(error)


@pytest.mark.fault("F-4")
def test_an_interrupt_starts_nothing_new_and_ends_every_wait() -> None:
    waiting, ended = threading.Event(), list[str]()

    def perform(site: Site, action: Action) -> None:
        waiting.set()
        try:
            site.pause(3600)
        except StoppedError:
            ended.append(action.key.name)
            raise

    run = apply(SITE, [_action("slow"), _action("later", "slow")], perform=perform)
    assert next(run).state == "started"
    assert waiting.wait(timeout=20)
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt)
    assert ended == ["slow"]


@pytest.mark.fault("F-4")
@pytest.mark.parametrize("moment", range(1, 9))
def test_an_interrupt_at_any_word_of_progress_begins_nothing_more(moment: int) -> None:
    begun, ended = list[str](), list[str]()

    def perform(_: Site, action: Action) -> None:
        begun.append(action.key.name)
        ended.append(action.key.name)

    chain = [_action("a"), _action("b", "a"), _action("c", "b"), _action("d", "c")]
    run = apply(SITE, chain, perform=perform)
    told = [next(run) for _ in range(moment)]
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt)
    announced = [one.action.key.name for one in told if one.state == "started"]
    assert begun == ended == announced
    with pytest.raises(StopIteration):
        next(run)


def test_closing_early_also_ends_what_waits() -> None:
    ended = threading.Event()

    def perform(site: Site, _action: Action) -> None:
        try:
            site.pause(3600)
        finally:
            ended.set()

    run = apply(SITE, [_action("slow")], perform=perform)
    next(run)
    run.close()
    assert ended.is_set()


def test_what_a_provider_says_is_passed_on() -> None:
    events, _ = _collect(lambda site, _action: site.say("waiting for 60 s"), _action("a"))
    assert [(event.state, event.text) for event in events] == [
        ("started", ""),
        ("note", "waiting for 60 s"),
        ("done", ""),
    ]


def test_what_needs_no_change_is_not_touched() -> None:
    kept = replace(_action("a"), verb=Verb.KEEP)
    events, error = _collect(lambda _site, _action: pytest.fail("touched"), kept)
    assert (events, error) == ([], None)


def test_the_critical_path_is_the_longest_chain() -> None:
    def done(action: Action, ms: int) -> Event:
        return Event(action, "done", ms)

    events = [
        done(_action("a"), 10),
        done(_action("b"), 50),
        done(_action("c", "a"), 70),
        done(_action("d", "b", "c"), 1),
    ]
    ms, keys = critical_path(events)
    assert ms == 81
    assert [key.name for key in keys] == ["a", "c", "d"]
