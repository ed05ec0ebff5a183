"""The screen of `imgpipe watch`, used by its pilot: what it shows at any width, and what each key opens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from imgpipe.cli.screen import lines
from imgpipe.cli.screen.app import Watch, left_behind
from imgpipe.cli.screen.table import Table
from imgpipe.cli.views import watch
from imgpipe.errors import UnreachableError
from imgpipe.operate import metrics
from imgpipe.operate.dlq.groups import Group, grouped
from imgpipe.operate.dlq.letters import Letter
from imgpipe.operate.gallery import SHOWN
from imgpipe.operate.live import LATEST
from imgpipe.operate.pulse import Rates
from imgpipe.operate.ticks import Tick, described, steps
from imgpipe.operate.watch import Sample
from imgpipe.operate.why.facts import Facts
from imgpipe.operate.why.verdict import Story, tell
from imgpipe.runtime.row import SHARDS, merge, view
from tests.photos import ROOT
from tests.studio import result, studio, studio_graph

NOW = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
GRAPH = studio_graph()
HOSTILE = "incoming/[red]a[/red] \x1b[31mb\nc\U0001f4f8.jpg"


def image(name: str, **changes: Any) -> dict[str, Any]:
    return view(merge(None, result(f"incoming/{name}", **changes))[0])


def tick(*images: dict[str, Any], dead: int = 0, depth: int = 12) -> Tick:
    names = [short for short in GRAPH.queues if not short.endswith("-dlq") and short != "rejected"]
    letters = {"enhance-dlq": dead, "rejected": 0}
    sample = Sample(
        at=NOW,
        depths=dict.fromkeys(names, depth),
        in_flight=dict.fromkeys(names, 4),
        dead=dead,
        letters=letters,
    )
    function = next(it.function for it in GRAPH.branches if it.name == "enhance")
    known = {(str(function), "Invocations"): 1_234.0, (str(function), "Errors"): 3.0}
    rates = Rates(done_per_min=34, failed_per_min=dead, p50_ms=810, p95_ms=2_100)
    return Tick(sample=sample, rates=rates, steps=tuple(steps(GRAPH, sample, known)), images=images)


def letter(number: int) -> Letter:
    return Letter(
        id=f"{number:08}-0000",
        queue="enhance-dlq",
        kind="queue",
        branch="enhance",
        steps=("enhance",),
        key=f"incoming/{number}.jpg",
        version_id="v1",
        first_seen=NOW,
        expires=datetime.now(UTC) + timedelta(hours=30, minutes=5),
        receives=5,
        body="{}",
        error="KeyError",
        reason=f"no lens in '{number}.jpg'",
    )


class Scripted:
    """A source that answers with `ticks`, one after another, then with the last one again."""

    title, prefix = "photo-studio · local", "incoming/"

    def __init__(self, *ticks: Tick | UnreachableError, letters: int = 0) -> None:
        self._ticks = list(ticks)
        self._letters = [letter(number) for number in range(letters)]
        self.asked = threading.Semaphore(0)

    def tick(self) -> Tick:
        found = self._ticks.pop(0) if len(self._ticks) > 1 else self._ticks[0]
        self.asked.release()
        if isinstance(found, UnreachableError):
            raise found
        return found

    def story(self, key: str) -> Story:
        return tell(GRAPH, Facts(key=key, now=NOW))

    def groups(self, step: str | None = None) -> list[Group]:
        return grouped(it for it in self._letters if step in (None, it.branch))

    def about(self, step: str) -> dict[str, str]:
        return described(GRAPH, step)


def text(app: Watch) -> str:
    """Return what the terminal shows."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


async def until(pilot: Pilot[None], app: Watch, *wanted: str) -> str:
    """Wait until all of `wanted` is on the screen; return the screen."""
    for _ in range(400):
        await pilot.pause(0.02)
        if all(each in text(app) for each in wanted):
            return text(app)
    raise AssertionError(f"no {wanted} on\n{text(app)}")


def piloted(
    source: Scripted,
    act: Callable[[Pilot[None], Watch], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
) -> Watch:
    """Run the screen on `source`, asked as often as `r` is pressed, and let `act` use it."""
    app = Watch(source, interval_s=3600)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await act(pilot, app)

    asyncio.run(run())
    return app


MANY = tuple(image(f"{number:03}.jpg") for number in range(60))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_steps_images_and_rates_are_on_one_screen_at_any_width(width: int) -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        shown = await until(pilot, app, "34 done/min", "enhance", "059.jpg", "quit")
        assert "60 queued · 2 dead" in shown
        assert "1,234" in shown
        assert max(map(len, shown.splitlines())) <= width
        assert ("queue over time" in shown) == (width >= 80)

    app = piloted(Scripted(tick(*MANY, dead=2)), act, (width, 24))
    assert "34" in left_behind(app)


def test_a_new_image_comes_on_top_and_the_person_stays_where_they_are() -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "059.jpg")
        table = app.query_one("#images", Table)
        await pilot.press("down", "down", "r")
        await until(pilot, app, "new.jpg")
        assert table.get_row_at(0)[2].plain == "new.jpg"
        assert table.get_row_at(table.cursor_row)[2].plain == "057.jpg"

    piloted(Scripted(tick(*MANY), tick(image("new.jpg"))), act)


def test_an_image_that_moved_on_keeps_one_line() -> None:
    going = image("a.jpg", status="retrying", outputs={})

    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "in flight")
        await pilot.press("r")
        shown = await until(pilot, app, "done ")
        assert shown.count("a.jpg") == 1
        assert "1.5 s" in shown

    piloted(Scripted(tick(going), tick(image("a.jpg"))), act)


def test_failures_can_be_looked_at_alone() -> None:
    error = {"class": "Rejected", "message": "it ends early", "reason": "truncated_image"}
    bad = image("bad.jpg", status="rejected", error=error)

    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "bad.jpg", "good.jpg", "the file is cut short")
        await pilot.press("f")
        shown = await until(pilot, app, "failures only")
        assert "bad.jpg" in shown
        assert "good.jpg" not in shown

    piloted(Scripted(tick(image("good.jpg"), bad)), act, (120, 24))


def test_enter_tells_the_story_of_an_image_and_escape_comes_back() -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "a.jpg")
        await pilot.press("enter")
        await until(pilot, app, "incoming/a.jpg", "never arrived", "next:")
        await pilot.press("escape")
        await until(pilot, app, "done/min")

    piloted(Scripted(tick(image("a.jpg"))), act)


def test_a_step_shows_its_queue_and_its_dead_letters() -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "059.jpg")
        table = app.query_one("#steps", Table)
        table.focus()
        names = [table.get_row_at(row)[0].plain for row in range(table.row_count)]
        await pilot.press(*["down"] * names.index("enhance"), "enter")
        await until(
            pilot, app, "8 waiting", "x86_64", "5 attempts", "now", "imgpipe logs enhance -f"
        )
        await pilot.press("d")
        await until(pilot, app, "3 dead letters of enhance", "KeyError: no lens")

    piloted(Scripted(tick(*MANY, dead=3), letters=3), act)


def test_dead_letters_lead_from_their_kind_to_the_image() -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "059.jpg")
        await pilot.press("d")
        await until(
            pilot, app, "3 dead letters, of 1 kind", "1d 6h", "imgpipe dlq redrive --canary"
        )
        await pilot.press("enter")
        await until(pilot, app, "3 letters of enhance", "00000001", "--group")
        await pilot.press("enter")
        await until(pilot, app, "incoming/0.jpg", "never arrived")

    piloted(Scripted(tick(*MANY, dead=3), letters=3), act)


def test_what_to_run_next_is_for_the_environment_that_is_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = UnreachableError("the cloud", "it does not answer", hint="imgpipe up")

    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "imgpipe up --env prod")
        await pilot.press("r")
        await until(pilot, app, "059.jpg")
        await pilot.press("d")
        await until(pilot, app, "imgpipe dlq redrive --env prod --canary")
        await pilot.press("enter")
        await until(pilot, app, "3 letters of enhance", "imgpipe dlq redrive --env prod --group")

    monkeypatch.setattr("sys.argv", ["imgpipe", "watch", "--env", "prod"])
    piloted(Scripted(gone, tick(*MANY, dead=3), letters=3), act)


def test_a_long_step_leaves_room_for_why() -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "a.jpg")
        await pilot.press("d")
        await until(pilot, app, "enhance, metad", "KeyError: no lens in '0.jpg'", "1d 6h")

    source = Scripted(tick(image("a.jpg")), letters=1)
    source._letters = [
        replace(it, steps=("enhance", "metadata", "sizes")) for it in source._letters
    ]
    piloted(source, act)


def test_without_dead_letters_it_says_so() -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "a.jpg")
        await pilot.press("d")
        await until(pilot, app, "0 dead letters")

    piloted(Scripted(tick(image("a.jpg"))), act)


def test_a_moment_without_an_answer_is_shown_and_not_the_end() -> None:
    gone = UnreachableError("the cloud", "it does not answer", hint="imgpipe up")

    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "it does not answer", "imgpipe up")
        await pilot.press("r")
        shown = await until(pilot, app, "a.jpg")
        assert "it does not answer" not in shown

    piloted(Scripted(gone, tick(image("a.jpg"))), act)


def test_paused_it_asks_nothing() -> None:
    source = Scripted(tick(image("a.jpg")), tick(image("b.jpg")))

    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "a.jpg")
        await pilot.press("space", "r")
        await until(pilot, app, "paused")
        assert "b.jpg" not in text(app)
        await pilot.press("space")
        await until(pilot, app, "b.jpg")

    piloted(source, act)


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("ctrl+c", 130)])
def test_a_key_ends_it(key: str, code: int) -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        await until(pilot, app, "a.jpg")
        await pilot.press(key)

    assert piloted(Scripted(tick(image("a.jpg"))), act).return_code == code


def test_text_from_outside_is_shown_and_not_obeyed() -> None:
    async def act(pilot: Pilot[None], app: Watch) -> None:
        shown = await until(pilot, app, "[red]a[/red]", "\\x1b")
        assert "\x1b" not in shown

    piloted(Scripted(tick(image(HOSTILE.removeprefix("incoming/")))), act, (120, 24))


def test_a_queue_over_time_is_drawn_as_bars() -> None:
    assert lines.bars([0, 0, 0], 8) == ""
    assert lines.bars([0, 1, 50, 100], 8) == " ▂▄▇"
    assert lines.bars(list(range(100)), 3) == "▇▇▇"


def test_the_end_of_a_long_name_is_kept() -> None:
    assert lines.cut_left("album/2026/photo.jpg", 10) == "…photo.jpg"
    assert lines.cut("a long reason", 6) == "a lon…"


def test_what_a_step_does_not_have_is_not_told_as_zero() -> None:
    first = next(it for it in tick().steps if it.name == "enhance")
    direct = replace(first, queue=None, direct=True, waiting=None, in_work=None)
    cells = [cell.plain for cell in lines.step_cells(direct, (), 0)]
    assert cells[:4] == ["enhance", "direct", "", "0"]


def test_in_a_pipe_there_is_a_line_of_queues_and_one_for_each_image() -> None:
    error = {"class": "Rejected", "message": "it ends early", "reason": "truncated_image"}
    bad = image("a b\nc.jpg", status="rejected", error=error)
    first, *rest = watch.lines(tick(bad, dead=2))
    assert first.startswith("2026-11-21T07:00:00.000Z queues enhance=12 ")
    assert first.endswith(" dead=2 done/min=34 failed/min=2 p50_ms=810 p95_ms=2100 errors=3")
    when = "2026-11-21T07:00:01.500Z"
    assert rest == [f"{when} image rejected 1500 incoming/a b\\x0ac.jpg truncated_image"]


def test_every_tick_is_one_document() -> None:
    told = tick(image("a.jpg"), dead=1).as_json()
    assert told["images"] == [
        {
            "key": "incoming/a.jpg",
            "status": "done",
            "version_id": "v1",
            "uploaded_at": "2026-11-21T07:00:00.000Z",
            "updated_at": "2026-11-21T07:00:01.500Z",
            "took_ms": 1500,
            "reason": None,
        }
    ]
    enhance = next(it for it in told["steps"] if it["name"] == "enhance")
    assert (enhance["waiting"], enhance["in_work"], enhance["dead"], enhance["calls"]) == (
        8,
        4,
        1,
        1234,
    )
    assert (told["done_per_min"], told["dead_letters"]) == (34, 1)


def test_what_looking_costs_is_counted_as_the_page_says() -> None:
    page = (ROOT / "docs" / "watch.md").read_text()
    asked = list(metrics._queries(studio()))
    assert f"({len(GRAPH.queues)} in the default pipeline)" in page
    assert f"reads {len(asked)} metrics" in page
    assert f"{LATEST} latest uploads" in page
    assert f"{len(SHOWN) * SHARDS} times for the latest uploads" in page
