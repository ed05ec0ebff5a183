"""The catalogue finds what the table would, shows what is so now, and stays within its bound."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe.errors import CloudError
from imgpipe.operate import catalogue as module
from imgpipe.operate import gallery, rows
from imgpipe.operate.catalogue import DEAF_S, FLOODED_S, Catalogue
from imgpipe.operate.gallery import Search
from imgpipe.operate.times import iso

PROJECT: Any = SimpleNamespace(
    graph=SimpleNamespace(prefix="incoming/"), spec=SimpleNamespace(steps={"metadata": None})
)


def row(number: int, **changes: Any) -> dict[str, Any]:
    at = f"2026-11-21T12:{number // 60:02}:{number % 60:02}.000Z"
    name = "river" if number % 3 else "hill"
    key = f"incoming/{name}-{number:04}.jpg"
    return {
        "key": key,
        "uploaded_at": at,
        "updated_at": at,
        "status": "done",
        "steps": {},
        "facts": {"palette": ["#2255cc"] if number % 2 else ["#c02020"]},
        **changes,
    }


class Table(dict[str, dict[str, Any]]):
    """Rows by key, which counts how many were read through its index."""

    scanned = 0

    def by_status(
        self, _project: Any, statuses: Sequence[str], **asked: Any
    ) -> Iterator[dict[str, Any]]:
        until = iso(asked["until"]) if asked.get("until") else "9"
        since = iso(asked["since"]) if asked.get("since") else ""
        newest = sorted(self.values(), key=lambda it: str(it["uploaded_at"]), reverse=True)
        found = [it for it in newest if since <= it["uploaded_at"] <= until]
        for it in [it for it in found if it["status"] in statuses][: asked.get("limit")]:
            self.scanned += 1
            yield it

    def facts_by_status(self, project: Any, statuses: Sequence[str], **asked: Any) -> Any:
        assert asked["steps"] == {"metadata"}
        return self.by_status(project, statuses, limit=asked["limit"])

    def by_keys(self, _project: Any, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        return {key: self[key] for key in keys if key in self}

    def put(self, one: dict[str, Any]) -> dict[str, Any]:
        self[one["key"]] = one
        return one


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    made = Table({it["key"]: it for it in map(row, range(300))})
    monkeypatch.setattr(rows, "by_status", made.by_status)
    monkeypatch.setattr(rows, "facts_by_status", made.facts_by_status)
    monkeypatch.setattr(rows, "by_keys", made.by_keys)
    return made


def opened(most: int = 1000) -> Catalogue:
    made = Catalogue(PROJECT, now=lambda: 0.0, sleep=lambda _: None, most=most)
    made.note(())
    assert made.take_turn()
    assert not made.take_turn(), "one reads at a time"
    made.read()
    return made


def walk(catalogue: Catalogue, search: Search, size: int = 7) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = catalogue.page(search, cursor, size)
        found += [it["key"] for it in page.rows]
        if page.cursor is None:
            return found
        cursor = page.cursor


@pytest.mark.parametrize("most", [1000, 120, 1])
@pytest.mark.parametrize("search", [Search(name="HILL"), Search(name="river", colour="blue")])
def test_it_finds_what_the_table_would_in_the_same_order(
    table: Table, search: Search, most: int
) -> None:
    expected = list(gallery.page(PROJECT, search, None, 1000).rows)
    assert walk(opened(most), search) == [it["key"] for it in expected]


@pytest.mark.parametrize("search", [Search(name="HILL"), Search(name="river", colour="blue")])
def test_a_search_uses_what_is_read_so_far(
    table: Table, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART", 40)
    expected = [it["key"] for it in gallery.page(PROJECT, search, None, 1000).rows]
    before, seen = table.scanned, []

    def look(_: float) -> None:
        """Ask in the midst of the first reading, after a row beyond it was heard of."""
        catalogue.note([row(7, updated_at=row(299)["updated_at"])])
        scanned = table.scanned
        first = catalogue.page(search, None, 5)
        seen.append(([it["key"] for it in first.rows], table.scanned - scanned))
        assert walk(catalogue, search) == expected
        assert not catalogue.ready

    catalogue = Catalogue(PROJECT, now=lambda: 0.0, sleep=look)
    catalogue.note(())
    assert catalogue.take_turn()
    catalogue.read()
    assert seen == [(expected[:5], 0)] * 3, "of 300 rows it rests three times"
    assert catalogue.ready
    assert table.scanned > before
    before = table.scanned
    assert walk(catalogue, search) == expected
    assert table.scanned == before


@pytest.mark.parametrize("most", [1000, 120])
def test_what_is_older_than_all_that_is_held_is_found_in_the_table(table: Table, most: int) -> None:
    catalogue = opened(most)
    catalogue.note([table.put(row(7, updated_at=row(299)["updated_at"]))])
    for number in (290, 291, 292):
        del table[row(number)["key"]]
        catalogue.forget(row(number)["key"])
    expected = [it["key"] for it in gallery.page(PROJECT, Search(name="i"), None, 1000).rows]
    assert walk(catalogue, Search(name="i")) == expected


def test_a_search_reads_no_more_rows_than_it_shows(table: Table) -> None:
    catalogue = opened()
    before = table.scanned
    assert len(catalogue.page(Search(name="hill"), None, 40).rows) == 40
    assert table.scanned == before


def test_what_follows_the_first_page_of_all_is_asked_for_by_key(table: Table) -> None:
    expected = [it["key"] for it in gallery.page(PROJECT, Search(), None, 1000).rows]
    catalogue = opened()
    first = catalogue.page(Search(), None, 40)
    before = table.scanned
    second = catalogue.page(Search(), first.cursor, 40)
    assert table.scanned == before
    assert [it["key"] for it in (*first.rows, *second.rows)] == expected[:80]
    assert walk(catalogue, Search()) == expected


def test_a_first_page_shows_what_nobody_heard_of_yet(table: Table) -> None:
    catalogue = opened()
    late = table.put(row(600, key="incoming/late.jpg"))
    assert catalogue.page(Search(), None, 5).rows[0] == late


def test_what_came_late_is_found_at_the_end_of_what_is_held(table: Table) -> None:
    catalogue = opened()
    late = [table.put({**row(n), "key": f"incoming/late-{n}.jpg"}) for n in (298, 299)]
    for it in late:
        it["uploaded_at"] = f"2025-01-01T00:00:00.{it['key'][-6:-4]}0Z"
    assert {it["key"] for it in late} <= set(walk(catalogue, Search()))


def test_what_came_late_among_the_latest_is_noticed(table: Table) -> None:
    catalogue = opened()
    table.put({**row(290), "key": "incoming/late.jpg"})
    assert catalogue.ready
    first = catalogue.page(Search(), None, 40)
    assert "incoming/late.jpg" in [it["key"] for it in first.rows]
    assert not catalogue.ready, "it answers nothing until it has read again"


def test_after_a_flood_the_table_is_asked_until_all_is_read_again(table: Table) -> None:
    clock = [0.0]
    catalogue = Catalogue(PROJECT, now=lambda: clock[0], sleep=lambda _: None)
    catalogue.note(())
    assert catalogue.take_turn()
    catalogue.read()
    first = catalogue.page(Search(), None, 5)
    catalogue.mistrust()
    assert not catalogue.ready
    before = table.scanned
    catalogue.page(Search(), first.cursor, 5)
    assert table.scanned > before
    assert not catalogue.take_turn(), "not at every look of a long burst"
    clock[0] = FLOODED_S
    catalogue.note(())
    assert catalogue.take_turn()
    catalogue.mistrust()
    catalogue.read()
    assert not catalogue.ready, "it was read while more came than was told"
    clock[0] = 2 * FLOODED_S
    catalogue.note(())
    assert catalogue.take_turn()
    catalogue.read()
    assert catalogue.ready


def test_what_changed_unheard_is_shown_as_it_is_now(table: Table) -> None:
    catalogue = opened()
    gone, failed = "incoming/hill-0297.jpg", "incoming/hill-0294.jpg"
    del table[gone]
    table[failed] = {**table[failed], "status": "failed"}
    shown = walk(catalogue, Search(name="hill", statuses=("done",)))
    assert len(shown) == 98
    assert not {gone, failed} & set(shown)


def test_what_comes_while_nobody_listens_is_found_in_the_table(table: Table) -> None:
    catalogue = opened()
    catalogue.hear_no_more()
    late = table.put(row(600, key="incoming/hill-late.jpg"))
    assert catalogue.page(Search(name="late"), None, 5).rows
    catalogue.note([late])
    assert catalogue.ready
    assert catalogue.page(Search(name="late"), None, 5).rows


def test_what_it_hears_of_is_found(table: Table) -> None:
    catalogue = opened()
    catalogue.note([table.put(row(600, key="incoming/hill-new.jpg"))])
    assert catalogue.page(Search(name="hill"), None, 1).rows[0]["key"] == "incoming/hill-new.jpg"
    assert catalogue.counts() == {"done": 301, "in_flight": 0, "failed": 0, "rejected": 0}


def test_what_it_hears_of_while_it_reads_is_not_lost(table: Table) -> None:
    late = row(600, key="incoming/hill-late.jpg")
    catalogue = Catalogue(
        PROJECT, now=lambda: 0.0, sleep=lambda _: catalogue.note([table.put(late)])
    )
    catalogue.note(())
    assert catalogue.take_turn()
    catalogue.read()
    assert catalogue.page(Search(name="late"), None, 5).rows


def test_an_image_that_was_uploaded_again_has_one_place(table: Table) -> None:
    catalogue = opened()
    again = row(700, key="incoming/hill-0000.jpg")
    table.put(again)
    assert walk(catalogue, Search(name="hill")).count(again["key"]) == 0
    assert walk(catalogue, Search(name="hill"))[0] == again["key"], "it was met, and is known now"


def test_it_keeps_to_its_bound_and_counts_nothing_then(table: Table) -> None:
    catalogue = opened(most=50)
    catalogue.note([table.put(row(900 + number)) for number in range(30)])
    held = catalogue._held()
    assert held is not None
    assert len(held.rows) == 50
    assert catalogue.counts() is None


def test_after_a_silence_the_table_is_asked_and_all_is_read_again(table: Table) -> None:
    time = [0.0]
    catalogue = Catalogue(PROJECT, now=lambda: time[0], sleep=lambda _: None)
    catalogue.note(())
    assert catalogue.take_turn()
    catalogue.read()
    assert not catalogue.take_turn()
    time[0] = DEAF_S + 1
    assert catalogue.counts() is None
    table.put(row(800, key="incoming/hill-late.jpg"))
    assert catalogue.page(Search(name="late"), None, 5).rows
    catalogue.note(())
    assert catalogue.take_turn()


def test_a_reading_that_failed_is_tried_again(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = [0.0]
    catalogue = Catalogue(PROJECT, now=lambda: time[0], sleep=lambda _: None)

    def broken(*_: Any, **__: Any) -> Iterator[Any]:
        raise RuntimeError("no table")

    monkeypatch.setattr(rows, "by_status", broken)
    assert catalogue.take_turn()
    with pytest.raises(CloudError):
        catalogue.read()
    assert catalogue.counts() is None
    time[0] = 3600.0
    assert catalogue.take_turn()
