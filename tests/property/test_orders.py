"""Put, put, delete, put, and events of our own: every order, every number of deliveries, one end.

Two laws, both searched through to the last order. The row: from any message to any other, however
often each comes, all ways lead to one row. The outputs: image functions, writer and tidy take turns
in every way that their queues allow, and in the end just those outputs lie there that the row names.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from imgpipe.operate.audit.law import sequencer_for
from imgpipe.operate.why.facts import Version
from imgpipe.runtime import row, steps, tidy, writer
from imgpipe.runtime.made import Made, Picture
from tests.fakes import (
    SETTINGS,
    TABLE,
    UPLOADS,
    VARIANTS,
    FakeContext,
    FakeStore,
    s3_event,
    sqs_event,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgpipe.runtime.settings import Limits, Settings

KEY = "incoming/a.jpg"
STEPS = ("sizes", "thumbnail")


def _function(step: str, every: tuple[str, ...] = STEPS, step_hash: str = "h1") -> Settings:
    chosen = {"variants": {step: {"width": 80, "format": "jpeg"}}, "hash": step_hash}
    return replace(
        SETTINGS, function=step, steps={step: chosen}, expected=every, max_receives=1_000_000
    )


def _make(data: bytes, wanted: Mapping[str, Any], limits: Limits) -> dict[str, Made]:
    picture = Picture(data=data, width=1, height=1, format="jpeg")
    return {step: Made(variants={step: picture}) for step in wanted}


Message = tuple[str, str]
"""Which function takes it, and its body."""


@dataclass
class Studio:
    """The pipeline at a moment: what it stores, and how often each message may still be delivered."""

    store: FakeStore = field(default_factory=FakeStore)
    waiting: dict[Message, int] = field(default_factory=dict)
    script: tuple[bytes | None, ...] = ()
    steps: tuple[str, ...] = STEPS
    times: int = 1
    settings: dict[str, Settings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = self.settings or {step: _function(step, self.steps) for step in self.steps}

    def put(self, data: bytes) -> dict[str, Any]:
        record = self.store.upload(UPLOADS, KEY, data)
        self.announce(record)
        return record

    def announce(self, record: dict[str, Any]) -> None:
        for step in self.steps:
            self.waiting[step, json.dumps(s3_event(record))] = self.times

    def remove(self) -> None:
        body = json.dumps(s3_event(self.store.remove(UPLOADS, KEY)))
        self.waiting["tidy", body] = self.times

    def happen(self) -> dict[str, Any] | None:
        """Do the next thing in the script; return the record of a put."""
        data, *rest = self.script
        self.script = tuple(rest)
        return self.put(data) if data else self.remove()

    def deliver(self, message: Message) -> None:
        """Let a function take a message, and acknowledge it."""
        function, body = message
        event, told = sqs_event(body), {"store": self.store}
        match function:
            case "writer":
                done = writer.run(
                    event, FakeContext(), settings=self.settings[self.steps[0]], **told
                )
            case "tidy":
                done = tidy.run(event, FakeContext(), settings=self.settings[self.steps[0]], **told)
            case step:
                done = steps.run(event, FakeContext(), _make, settings=self.settings[step], **told)
        self.waiting[message] -= 1
        if done["batchItemFailures"]:
            self.waiting[message] += 1
        if not self.waiting[message]:
            del self.waiting[message]
        for queue, taker in (("results", "writer"), ("tidy", "tidy")):
            for said in self.store.take(queue):
                fresh = taker, json.dumps(said)
                self.waiting[fresh] = self.waiting.get(fresh, 0) + 1

    def shown(self) -> dict[str, Any] | None:
        item = self.store.items.get((TABLE, KEY, row.SK_IMAGE))
        return row.from_item(item) if item else None

    def copy(self) -> Studio:
        store = FakeStore(
            objects=dict(self.store.objects),
            items=dict(self.store.items),
            _numbers=copy.copy(self.store._numbers),
        )
        return replace(self, store=store, waiting=dict(self.waiting))

    def state(self) -> str:
        """Return all that decides what can still happen; times and revisions don't."""
        item = self.store.items.get((TABLE, KEY, row.SK_IMAGE))
        shown = _timeless(row.load(item)[0]) if item else None
        waiting = sorted((*_timeless_message(it), count) for it, count in self.waiting.items())
        there = sorted((name, it.version_id) for name, it in self.store.objects.items())
        return repr((shown, waiting, there, self.script))


def _timeless(shown: Any) -> Any:
    """Return a document without what differs between equal histories: times and names of attempts."""
    if isinstance(shown, dict):
        return {
            name: _timeless(value)
            for name, value in sorted(shown.items())
            if name not in {"at", "updated_at", "uploaded_at", "ms", "attempts", "attempt_id"}
        }
    return [_timeless(each) for each in shown] if isinstance(shown, list) else shown


def _timeless_message(message: Message) -> Message:
    return message[0], json.dumps(_timeless(json.loads(message[1])))


def ends(studio: Studio, most: int = 60_000) -> Iterator[Studio]:
    """Yield each state in which nothing waits any more, whichever order led there."""
    seen: set[str] = set()
    todo = [studio]
    while todo:
        now = todo.pop()
        if not now.waiting and not now.script:
            yield now
        for message in [*now.waiting, *([None] if now.script else [])]:
            after = now.copy()
            after.deliver(message) if message else after.happen()
            if (state := after.state()) not in seen:
                seen.add(state)
                todo.append(after)
        assert len(seen) < most, "too many states to look at"


def check(studio: Studio, version_id: str | None) -> None:
    shown = studio.shown()
    assert shown is not None
    if version_id is None:
        assert shown["status"] == "removed"
        assert not studio.store.keys(VARIANTS)
        return
    assert (shown["status"], shown["version_id"]) == ("done", version_id)
    assert studio.store.keys(VARIANTS) == {made["key"] for made in shown["outputs"].values()}


def own(record: dict[str, Any], sequencer: str) -> dict[str, Any]:
    """Return an event of our own about an upload, with the place that we give it."""
    made = copy.deepcopy(record)
    made["s3"]["object"]["sequencer"] = sequencer
    return made


SCRIPTS = {
    "others": (b"a", b"b", None, b"c"),
    "the same bytes": (b"a", b"a", None, b"a"),
    "deleted in the end": (b"a", None, b"a", None),
}
"""What happens to the key, in this order: bytes are put, or it is deleted."""


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.fault("F-21")
def test_all_orders_of_four_changes(script: tuple[bytes | None, ...]) -> None:
    """Told of while they happen, so that what was stored of one version meets the next."""
    for end in ends(Studio(script=script, steps=STEPS[:1])):
        check(end, f"v{len(script)}" if script[-1] else None)


@pytest.mark.parametrize("seed", range(120))
@pytest.mark.fault("F-19", "F-21")
def test_any_order_of_four_changes_each_told_up_to_three_times(seed: int) -> None:
    """Too many orders to look at all: events of our own mix in, about any version and of any place."""
    chance = random.Random(seed)
    script = chance.choice(list(SCRIPTS.values()))
    now, records = Studio(script=script), list[dict[str, Any]]()
    while now.waiting or now.script:
        chosen = chance.randint(0, len(now.waiting))
        now.times = chance.randint(1, 3)
        if chosen < len(now.waiting):
            now.deliver(list(now.waiting)[chosen])
        elif now.script:
            records += [made] if (made := now.happen()) else []
        elif records:
            emitted = records.pop(chance.randrange(len(records)))
            version_id = emitted["s3"]["object"]["versionId"]
            now.announce(own(emitted, _place(now.shown(), version_id)))
    check(now, f"v{len(script)}" if script[-1] else None)


def _place(shown: dict[str, Any] | None, version_id: str) -> str:
    """Return what `audit` and `backfill` give an event about a version, as they know the row now."""
    version = Version(id=version_id, at=datetime.now(UTC), size=1, etag="", latest=True)
    return sequencer_for(shown, version)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_all_orders_of_three_changes_on_two_branches(script: tuple[bytes | None, ...]) -> None:
    for end in ends(Studio(script=script[-3:])):
        check(end, "v3" if script[-1] else None)


def test_an_event_of_our_own_and_the_late_genuine_one_leave_every_output() -> None:
    studio = Studio()
    record = studio.put(b"a")
    studio.announce(own(record, ""))
    for end in ends(studio):
        check(end, "v1")


def test_an_event_of_our_own_meets_a_late_result_of_the_version_before() -> None:
    """Version 1 is done, and its result still waits, when `heal` finds no row of version 2."""
    studio = Studio()
    studio.put(b"a")
    for step in STEPS:
        studio.deliver(next(it for it in studio.waiting if it[0] == step))
    record = studio.put(b"b")
    studio.announce(own(record, ""))
    for end in ends(studio):
        check(end, "v2")


@pytest.mark.fault("F-38")
def test_work_done_again_with_other_settings_leaves_only_its_own_outputs() -> None:
    studio = Studio()
    record = studio.put(b"a")
    for step in STEPS:
        studio.deliver(next(it for it in studio.waiting if it[0] == step))
    studio.settings = {step: _function(step, step_hash="h2") for step in STEPS}
    studio.announce(own(record, row.normal_sequencer(record["s3"]["object"]["sequencer"])))
    for end in ends(studio):
        check(end, "v1")
        made = {step["step_hash"] for step in (end.shown() or {})["steps"].values()}
        assert made == {"h2"}


@pytest.mark.fault("F-47")
def test_an_order_to_delete_that_comes_weeks_late_spares_what_the_row_names_by_now() -> None:
    """A dead letter of tidy, redriven after the settings were changed back."""
    studio = Studio()
    record = studio.put(b"a")
    late: list[Message] = []
    for step_hash in ("h1", "h2", "h1"):
        studio.settings = {step: _function(step, step_hash=step_hash) for step in STEPS}
        studio.announce(own(record, row.normal_sequencer(record["s3"]["object"]["sequencer"])))
        while todo := [it for it in studio.waiting if it not in late]:
            if todo[0][0] == "tidy":
                late.append(todo[0])
            else:
                studio.deliver(todo[0])
    assert late
    for message in late:
        studio.deliver(message)
    shown = studio.shown()
    assert shown is not None
    assert {made["key"] for made in shown["outputs"].values()} <= studio.store.keys(VARIANTS)


def _said() -> list[dict[str, Any]]:
    """Return what is said of put, put, delete, put, and of events of our own about the last."""

    def done(step: str, number: int, sequencer: str, second: int) -> dict[str, Any]:
        output = {"key": f"{step}/a.{number}.jpg", "width": 1, "height": 1, "bytes": 1}
        return {
            "v": 1,
            "kind": "step",
            "key": KEY,
            "version_id": f"v{number}",
            "etag": "the same",
            "sequencer": sequencer,
            "size": 1,
            "uploaded_at": "2026-01-31T12:00:00.000Z",
            "step": step,
            "function": step,
            "settings_hash": "s",
            "step_hash": "h",
            "code_hash": "c",
            "expected": list(STEPS),
            "status": "done",
            "attempt_id": f"{step}:{number}:{sequencer}:{second}",
            "max_attempts": 3,
            "at": f"2026-01-31T12:00:{second:02d}.000Z",
            "ms": 1,
            "outputs": {step: {**output, "format": "jpeg"}},
            "facts": {},
            "error": None,
        }

    genuine = [done(step, number, f"0{number}", number) for number in (1, 2, 4) for step in STEPS]
    healed = [done(step, 4, "", 5) for step in STEPS]
    again = [done("sizes", 4, row.normal_sequencer("04"), 6)]
    removal = {"v": 1, "kind": "removed", "key": KEY, "version_id": "v3", "sequencer": "03"}
    return [*genuine, {**removal, "at": "2026-01-31T12:00:03.000Z"}, *healed, *again]


def _settled(after: row.Row) -> tuple[Any, ...]:
    """Return what a row comes to, without how often and when it was tried."""
    steps = sorted((name, step["status"]) for name, step in after["steps"].items())
    return after["sequencer"], after["version_id"], row.status(after), steps, row.outputs(after)


@pytest.mark.fault("F-21", "F-47")
def test_every_order_and_every_number_of_deliveries_leads_to_one_row() -> None:
    """Over the rows that can be reached, not over the 3,628,800 orders: hearing again is a way, too.

    What events of our own led to counts for a version whose place in the order is known by then, and is as good as
    unheard otherwise. So with them, rows are the same when S3's own events are in; without, at any time.
    """
    said = _said()
    ours = {number for number, result in enumerate(said) if not result["sequencer"]}
    reached: dict[tuple[frozenset[int], str], row.Row] = {}
    todo: list[tuple[frozenset[int], row.Row | None]] = [(frozenset(), None)]
    while todo:
        heard, before = todo.pop()
        for number, result in enumerate(said):
            after, effects = row.merge(before, result)
            assert not set(effects.delete) & row.outputs(after)
            state = heard | {number}, json.dumps(after, sort_keys=True)
            if state not in reached:
                reached[state] = after
                todo.append((state[0], after))
    rows: dict[frozenset[int], list[row.Row]] = {}
    for (heard, _), after in reached.items():
        rows.setdefault(heard, []).append(after)
    assert all(len(some) == 1 for heard, some in rows.items() if not heard & ours)
    whole = [some for heard, some in rows.items() if heard | ours == set(range(len(said)))]
    for some in whole:
        assert all(_settled(each) == _settled(some[0]) for each in some)
    (last,) = whole[-1][:1]
    assert (row.status(last), last["version_id"]) == ("done", "v4")
    assert row.outputs(last) == {f"{step}/a.4.jpg" for step in STEPS}
