"""What a page shows when there is nothing, or not yet, or something is wrong; and that nothing moves by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import BROKEN, becomes, opened, served, shifted
from tests.browser.test_desk import upload
from tests.e2e.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Pipeline]:
    """A studio of its own, without an image, whose cloud may be stopped."""
    pipeline = Pipeline.copy_to(tmp_path_factory.mktemp("lonely"))
    try:
        pipeline.run("up", "--yes")
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


def test_the_doctor_knows_what_was_changed_while_the_console_was_open(
    browser: Browser, lonely: Pipeline
) -> None:
    with served(lonely) as link, opened(browser, link) as page:
        with page.expect_response("**/desk/history"):
            page.goto("/desk")
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        expect(page.locator("#diagram .dots.moving")).to_have_count(0)
        expect(page.locator("#diagram .detail", has_text="a minute")).to_have_count(0)
        source = lonely.folder / "lambdas" / "writer" / "handler.py"
        source.write_text(f"{source.read_text()}\n# mended\n")
        page.get_by_role("button", name="Examine").click()
        expect(page.locator("#doctor")).to_contain_text("writer")
        lonely.run("up", "--yes")
        page.get_by_role("button", name="Look again").click()
        expect(page.locator("#doctor")).not_to_contain_text("imgpipe up")


def test_from_nothing_to_an_image_to_a_cloud_that_is_gone(
    browser: Browser, lonely: Pipeline
) -> None:
    with served(lonely) as link, opened(browser, link, forgive=BROKEN) as page:
        page.goto("/")
        expect(page.get_by_role("heading", name="Drop photographs here")).to_be_visible()
        expect(page.get_by_role("button", name="Choose files")).to_be_visible()
        assert shifted(page) == []
        upload(lonely, "first.jpg")
        expect(page.locator("#fresh .tile.done")).to_be_visible()
        expect(page.locator("#empty")).to_be_hidden()
        lonely.run("local", "stop")
        expect(page.locator("#trouble")).to_contain_text("no answer from the cloud", timeout=20_000)
        expect(page.locator("#connection")).to_have_attribute("data-state", "trouble")
        page.reload()
        expect(page.locator("#broken")).to_contain_text("no answer from the cloud", timeout=20_000)
        expect(page.locator("#connection")).to_have_attribute("data-state", "trouble")
        lonely.run("local", "start")
        expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=60_000)
        expect(page.locator("#chunks .tile.done")).to_be_visible()
        expect(page.locator("#broken")).to_be_hidden()


def test_an_empty_read_only_console_asks_nobody_to_drop_anything(
    browser: Browser, studio: Pipeline
) -> None:
    with served(studio, "--read-only") as link, opened(browser, link) as page:
        page.route("**/tiles*", lambda route: route.fulfill(headers={"x-next": "", "x-count": "0"}))
        page.goto("/")
        expect(page.get_by_role("heading", name="No photographs yet")).to_be_visible()


def test_places_are_held_until_the_images_are_there_and_nothing_moves(
    page: Page, studio: Pipeline, placed: None
) -> None:
    held: list[Route] = []
    page.route("**/tiles*", lambda route: held.append(route), times=1)  # noqa: PLW0108 - it is looked into
    page.goto("/")
    expect(page.locator(".tile.skeleton").first).to_be_visible()
    expect(page.locator("#chunks")).to_have_attribute("aria-busy", "true")
    becomes(page, lambda: len(held), 1)
    held[0].continue_()
    expect(page.locator("#chunks .tile.done img.picture.there").first).to_be_visible()
    expect(page.locator('[data-count="done"]')).to_have_text(re.compile(r"\d"))
    upload(studio, "meanwhile.jpg")
    expect(page.get_by_role("button", name="1 new image")).to_be_visible()
    assert shifted(page) == []


@pytest.fixture(scope="module")
def placed(studio: Pipeline) -> None:
    upload(studio, "placed.jpg")


@pytest.mark.parametrize("path", ["/", "/desk", "/compare", "/image?key=incoming/placed.jpg"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_moves_while_a_page_comes(page: Page, placed: None, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.wait_for_load_state("networkidle") if path != "/desk" else None
    expect(page.locator(".desk.arriving, .waits")).to_have_count(0)
    expect(page.locator('[data-count=""]:empty')).to_have_count(0)
    assert shifted(page) == []


def test_an_address_that_is_none_says_so_and_leads_back(unlucky_page: Page) -> None:
    page = unlucky_page
    page.goto("/image?key=nobody.jpg")
    expect(page.get_by_role("alert")).to_contain_text("there is no such upload")
    page.get_by_role("link", name="To the gallery").click()
    expect(page.locator("#search")).to_be_visible()


def test_a_date_that_is_none_is_told_in_plain_words(unlucky_page: Page) -> None:
    unlucky_page.goto("/?since=garbage")
    expect(unlucky_page.locator("#broken")).to_contain_text("'garbage' is no date")


def test_the_gallery_is_used_with_keys_alone(page: Page, studio: Pipeline) -> None:
    for name in ("key-1.jpg", "key-2.jpg", "key-3.jpg"):
        upload(studio, name)
    page.goto("/")  # who hears of them knows them, also for a search
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.goto("/?q=key-")
    expect(page.locator("#chunks .tile.done")).to_have_count(3)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#chunks a')"):
            break
    tile = page.locator("#chunks .tile a")
    expect(tile.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tile.nth(1)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#sheet-title")).to_be_focused()
    expect(page.locator("#sheet-title")).to_have_text("key-3.jpg")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#sheet-title")).to_have_text("key-2.jpg")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('[data-toggle-compare]')"):
            break
    page.keyboard.press("Enter")
    split = page.get_by_label("Before and after: how much")
    expect(split).to_be_focused()
    page.keyboard.press("Home")
    expect(split).to_have_value("0")
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(tile.nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()


def test_the_desk_is_used_with_keys_alone(page: Page, studio: Pipeline) -> None:
    page.goto("/desk")
    expect(page.locator(".desk.arriving")).to_have_count(0)
    reached: set[str] = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    assert {"Gallery", "Desk", "Compare", "Examine"} <= reached
