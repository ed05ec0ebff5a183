"""The gallery, as somebody with photographs meets it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import photograph
from tests.e2e.pipeline import Pipeline
from tests.photos import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]
PHOTO = ROOT / "demo" / "photos" / "picos.jpg"


def send(page: Page, name: str, content: bytes, kind: str = "image/jpeg") -> None:
    page.set_input_files("#files", {"name": name, "mimeType": kind, "buffer": content})


@pytest.mark.capability("S0-13", "S1-13")
def test_a_dropped_photograph_is_seen_to_its_variants(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    hosts: set[str] = set()
    page.on("request", lambda it: hosts.add(it.url.split("/")[2]) if it.method == "POST" else None)
    send(page, "dropped.jpg", PHOTO.read_bytes())
    made = page.locator('#fresh .tile.done[data-key="incoming/dropped.jpg"]')
    expect(made.locator("img.picture.there")).to_be_visible()
    assert len(hosts) == 2, "the file goes to S3 itself, and only its leave comes from the console"

    made.locator("a").click()
    expect(page.locator("#sheet .variants li")).to_have_count(5)
    expect(page.locator("#sheet [data-after]")).to_have_js_property("naturalWidth", 1600)
    page.get_by_role("button", name="Before and after").click()
    expect(page.locator("#sheet [data-before]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(made.locator("a")).to_be_focused()


def test_what_is_no_image_says_why_in_plain_words(page: Page) -> None:
    page.goto("/")
    send(page, "letter.jpg", b"Dear Sir or Madam,")
    shown = page.locator('#fresh .tile.rejected[data-key="incoming/letter.jpg"]')
    expect(shown).to_contain_text("not an image of a kind we can read")


def test_what_others_upload_appears_by_itself(page: Page, studio: Pipeline, tmp_path: Path) -> None:
    photo = tmp_path / "before.jpg"
    photo.write_bytes(photograph())
    studio.run("upload", photo, "--wait")
    page.goto("/")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#chunks .tile.done").first).to_be_visible()
    studio.run("upload", photo.rename(tmp_path / "from-elsewhere.jpg"), "--wait")
    page.get_by_role("button", name=re.compile("new image")).click()
    there = page.locator('#chunks .tile.done[data-key="incoming/from-elsewhere.jpg"]')
    expect(there).to_be_visible()


FEW_ARE_HELD = "document.querySelectorAll('#chunks .tile').length < 600"


def test_ten_thousand_tiles_scroll_by_and_few_are_held(page: Page) -> None:
    """The pages are made up here: what is tested is that those far away are let go, and come back."""

    def answer(route: Route) -> None:
        number = int(parse_qs(urlsplit(route.request.url).query).get("cursor", ["0"])[0])
        tile = '<li class="tile done" data-key="k{0}"><a class="frame" href="/image?key=k{0}">{0}</a></li>'
        tiles = "".join(tile.format(number * 40 + at) for at in range(40))
        headers = {"x-next": f"/tiles?cursor={number + 1}" if number < 250 else "", "x-count": "40"}
        route.fulfill(status=200, headers=headers, body=f'<ul class="tiles">{tiles}</ul>')

    page.route("**/tiles?*", answer)
    page.goto("/")
    expect(page.locator('.tile[data-key="k0"]')).to_be_visible()
    while (pages := page.locator(".chunk").count()) < 60:
        page.mouse.wheel(0, 20_000)
        page.wait_for_function("n => document.querySelectorAll('.chunk').length > n", arg=pages)
    page.wait_for_function(FEW_ARE_HELD)
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator('.tile[data-key="k0"]')).to_be_visible()
    page.wait_for_function(FEW_ARE_HELD)


def test_a_console_that_went_away_is_told_of_and_met_again(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(page.locator("#offline")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#offline")).to_be_hidden()
