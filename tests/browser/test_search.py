"""Searching, by each of what one can search by."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import seeding
from tests.browser.conftest import photograph, served
from tests.e2e.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]
NAMES = {"heron", "otter", "kite"}


@pytest.fixture(scope="module")
def birds(studio: Pipeline) -> None:
    photo = studio.folder / "model.jpg"
    photo.write_bytes(photograph())
    studio.run("upload", photo, "--wait")
    of = seeding.model(studio, "incoming/model.jpg")
    leica = {"make": "Leica Camera AG", "camera": "LEICA Q3", "lens": "Summilux 28"}
    blue, red = ["#2255cc", "#2a60d0", "#3366cc"], ["#d02020", "#c01818", "#b01010"]
    bird, night = [{"name": "zqbird", "origin": "basic"}], [{"name": "zqnight", "origin": "basic"}]
    day = 86_400.0
    seeding.put(
        studio,
        [
            seeding.copy(of, "zq/heron.jpg", 0, palette=blue, tags=bird, exif={}),
            seeding.copy(of, "zq/otter.jpg", 2 * day, palette=red, tags=night, exif=leica),
            seeding.failed(
                seeding.copy(of, "zq/kite.jpg", 4 * day, palette=red, tags=bird, exif={}),
                "rejected",
                "too_many_pixels",
            ),
        ],
    )


@pytest.fixture(scope="module")
def console(studio: Pipeline, birds: None) -> Iterator[str]:
    """One that reads them as it starts: what was uploaded long ago is otherwise met minutes later."""
    with served(studio) as link:
        yield link.rstrip("/")


def shown(page: Page, among: str = "zq/") -> set[str]:
    tiles = page.locator(f'#chunks .tile[data-key^="incoming/{among}"]').all()
    return {(tile.get_attribute("data-key") or "").rpartition("/")[2][:-4] for tile in tiles}


def finds(page: Page, names: set[str]) -> None:
    """Wait until the page shows these of the seeded images, and no other of them."""
    for name in NAMES:
        tile = page.locator(f'#chunks .tile[data-key="incoming/zq/{name}.jpg"]')
        expect(tile).to_have_count(1 if name in names else 0)


def test_a_name_is_searched_while_it_is_typed(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("ZQ/")
    finds(page, NAMES)
    page.keyboard.type("otter")
    finds(page, {"otter"})
    expect(page).to_have_url(re.compile(r"\?q=ZQ%2Fotter$"))
    page.reload()
    finds(page, {"otter"})


@pytest.mark.parametrize(
    ("label", "value", "names"),
    [
        ("Camera", "leica", {"otter"}),
        ("Camera", "summilux", {"otter"}),
        ("Tag", "zqbird", {"heron", "kite"}),
        ("From", "2026-05-29", {"heron", "otter"}),
        ("To", "2026-05-30", {"otter", "kite"}),
    ],
)
def test_a_camera_a_tag_and_a_date_find(
    page: Page, label: str, value: str, names: set[str]
) -> None:
    page.goto("/?q=zq/")
    finds(page, NAMES)
    page.get_by_text("Filters").click()
    page.get_by_label(label, exact=True).fill(value)
    finds(page, names)


def test_a_colour_and_a_status_find_and_clearing_shows_all(page: Page) -> None:
    page.goto("/?q=zq/")
    page.get_by_text("Filters").click()
    page.get_by_label("red", exact=True).check(force=True)
    finds(page, {"otter", "kite"})
    page.get_by_label("Rejected").check(force=True)
    finds(page, {"kite"})
    expect(page.locator("#chunks .tile")).to_contain_text("has too many pixels")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator("#q")).to_have_value("")
    expect(page.locator('#chunks .tile[data-key="incoming/model.jpg"]')).to_have_count(1)


def test_what_matches_nothing_says_so_and_leads_back(page: Page) -> None:
    page.goto("/?tag=zqbird&q=otter")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_role("button", name="Clear the search").click()
    expect(page.locator("#chunks .tile").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"/$"))
