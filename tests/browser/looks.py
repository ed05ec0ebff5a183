"""Pictures of every state of the console at three widths, light and dark: `python -m tests.browser.looks FOLDER`.

A state is made once, and then looked at in each width and theme. For each there is one sheet: light above, dark below,
and the name of the state is that of the file. Words behind FOLDER choose the states whose names have one of them.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.browser import seeding
from tests.browser.conftest import BROWSERS, served
from tests.browser.test_desk import kill
from tests.e2e.pipeline import Pipeline
from tests.photos import ROOT

WIDTHS = (390, 820, 1440)
HEIGHT = 900
TALLEST = 2600
THEMES = ("light", "dark")
PHOTOS = sorted(it for it in (ROOT / "demo" / "photos").iterdir() if it.suffix != ".md")
LARGE = 40_000_000

HELD: list[Route] = []
Prepare = Callable[[Page], None]
STATES: dict[str, Prepare] = {}
READ_ONLY: dict[str, Prepare] = {}
STOPPED: dict[str, Prepare] = {}
"""The last ones: the cloud is stopped for them."""


def state(into: dict[str, Prepare]) -> Callable[[Prepare], Prepare]:
    def keep(made: Prepare) -> Prepare:
        into[made.__name__] = made
        return made

    return keep


def opened(page: Page, path: str = "/") -> None:
    page.goto(path)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def gallery_at(page: Page, path: str = "/") -> None:
    opened(page, path)
    expect(page.locator("#chunks .tile").first).to_be_visible()


@state(STATES)
def gallery(page: Page) -> None:
    gallery_at(page)


@state(STATES)
def gallery_with_filters(page: Page) -> None:
    gallery_at(page, "/?camera=&colour=blue")
    expect(page.get_by_label("Camera")).to_be_visible()


@state(STATES)
def gallery_of_the_rejected(page: Page) -> None:
    gallery_at(page, "/?status=rejected")


@state(STATES)
def nothing_found(page: Page) -> None:
    opened(page, "/?q=nothing-is-called-so")
    expect(page.locator("#nothing")).to_be_visible()


@state(STATES)
def empty(page: Page) -> None:
    page.route("**/tiles*", lambda route: route.fulfill(headers={"x-count": "0"}))
    page.route("**/counts", lambda route: route.fulfill(json={}))
    opened(page)
    expect(page.locator("#empty")).to_be_visible()


@state(STATES)
def loading(page: Page) -> None:
    page.route("**/tiles*", lambda route: HELD.append(route))  # noqa: PLW0108 - it is kept waiting
    page.route("**/counts", lambda route: HELD.append(route))  # noqa: PLW0108
    opened(page)


def goes_off(page: Page) -> None:
    page.context.set_offline(offline=True)
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(page.locator("#offline")).to_be_visible()


@state(STATES)
def offline(page: Page) -> None:
    gallery_at(page)
    goes_off(page)


@state(STATES)
def toasts_over_the_offline_bar(page: Page) -> None:
    gallery_at(page)
    page.clock.install()  # a toast goes after a while, and this one is looked at six times
    goes_off(page)
    send(page, "empty.jpg", b"")
    send(page, "a-name-of-some-length-that-is-empty-as-well.jpg", b"")
    expect(page.locator(".toast")).to_have_count(2)


def send(page: Page, name: str, content: bytes) -> None:
    file: Any = {"name": name, "mimeType": "image/jpeg", "buffer": content}
    page.set_input_files("#files", file)


def is_for_s3(url: str) -> bool:
    return "photo-studio" in url.partition("?")[0]


@state(STATES)
def uploading(page: Page) -> None:
    """Some that wait, one under way, one that was refused, one that is no picture."""
    gallery_at(page)
    send(page, "letter.jpg", b"Dear Sir or Madam,")
    page.wait_for_timeout(500)
    both = page.locator("#taken, #fresh .tile.rejected").first
    expect(both).to_be_visible()
    if page.locator("#taken").is_visible():
        page.get_by_role("button", name="Keep both").click()
    expect(page.locator("#fresh .tile.rejected")).to_be_visible()
    page.route(is_for_s3, refuse_one)
    for photo in PHOTOS:
        send(page, f"new {photo.name}", photo.read_bytes())
    expect(page.locator("#fresh .tile.failed.sending")).to_be_visible()
    page.evaluate("""() => document.querySelectorAll('.sending progress').forEach((it, at) => {
        it.value = (at % 5) / 5; })""")


def refuse_one(route: Route) -> None:
    if b"rocket" in (route.request.post_data_buffer or b""):
        route.abort()


@state(STATES)
def a_name_that_is_there(page: Page) -> None:
    gallery_at(page)
    send(page, PHOTOS[0].name, PHOTOS[0].read_bytes())
    expect(page.locator("#taken")).to_be_visible()


@state(STATES)
def dropping(page: Page) -> None:
    gallery_at(page)
    page.evaluate("document.querySelector('#drop').hidden = false")


@state(STATES)
def newcomers(page: Page) -> None:
    gallery_at(page)
    page.evaluate(
        """document.dispatchEvent(new CustomEvent("newcomer", {detail: {key: "k", html: "<li></li>"}}))"""
    )


def sheet(page: Page, name: str = "incoming/coffee.png") -> None:
    gallery_at(page)
    page.locator(f'#chunks .tile[data-key="{name}"] a').click()
    expect(page.locator("#sheet-title")).to_be_visible()
    expect(page.locator("[data-after]")).not_to_have_js_property("naturalWidth", 0)


@state(STATES)
def image_opened(page: Page) -> None:
    sheet(page)


@state(STATES)
def image_compared(page: Page) -> None:
    sheet(page, "incoming/picos.jpg")
    page.get_by_role("button", name="Before and after").click()
    expect(page.locator("[data-before]")).not_to_have_js_property("naturalWidth", 0)


@state(STATES)
def image_asked_to_be_erased(page: Page) -> None:
    sheet(page)
    page.get_by_role("button", name="Erase …").click()
    expect(page.locator("#ask")).to_contain_text("Erase for good?")


@state(STATES)
def image_page_with_its_timeline(page: Page) -> None:
    opened(page, "/image?key=incoming/picos.jpg")
    page.locator(".timeline summary").click()
    expect(page.locator(".hops li").first).to_be_visible()


@state(STATES)
def image_page_with_a_map(page: Page) -> None:
    opened(page, "/image?key=incoming/placed.jpg")
    expect(page.locator(".place")).to_be_visible()


@state(STATES)
def image_page_of_a_rejected_one(page: Page) -> None:
    opened(page, "/image?key=incoming/words.jpg")
    expect(page.locator(".hops li").first).to_be_visible()


@state(STATES)
def image_page_of_none(page: Page) -> None:
    page.goto("/image?key=nobody.jpg")


@state(STATES)
def desk(page: Page) -> None:
    opened(page, "/desk")
    expect(page.locator("#letters [data-group]").first).to_be_visible()
    page.get_by_role("button", name="Examine").click()
    expect(page.locator("#doctor li, #doctor .none").first).to_be_visible()
    expect(page.locator("#through .bar").first).to_be_visible()
    page.locator("#mail summary").first.click()
    page.locator("#alarms summary").first.click()


@state(STATES)
def desk_asked_to_send_again(page: Page) -> None:
    opened(page, "/desk")
    page.get_by_role("button", name="One ahead").first.click()
    expect(page.locator("#ask")).to_be_visible()


@state(STATES)
def compare(page: Page) -> None:
    opened(page, "/compare")


@state(STATES)
def image_erased(page: Page) -> None:
    sheet(page, "incoming/chelsea.png")
    page.get_by_role("button", name="Erase …").click()
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator("#ask")).to_contain_text("The receipt", timeout=90_000)


@state(READ_ONLY)
def read_only_gallery(page: Page) -> None:
    gallery_at(page)


@state(READ_ONLY)
def read_only_image(page: Page) -> None:
    sheet(page)


@state(READ_ONLY)
def the_door(page: Page) -> None:
    page.context.clear_cookies()
    page.goto("/?token=wrong")


@state(STOPPED)
def trouble(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#broken")).to_be_visible(timeout=60_000)


@state(STOPPED)
def trouble_at_the_desk(page: Page) -> None:
    page.goto("/desk")
    expect(page.locator("#trouble")).to_be_visible(timeout=60_000)
    expect(page.locator(".desk.arriving")).to_have_count(0, timeout=60_000)


def shot(page: Page, width: int, theme: Any) -> Image.Image:
    page.set_viewport_size({"width": width, "height": HEIGHT})
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(400)
    whole = not page.locator("dialog[open]").count() and page.locator(".desk, .alone").count()
    taken = Image.open(io.BytesIO(page.screenshot(full_page=bool(whole)))).convert("RGB")
    return taken.crop((0, 0, taken.width, min(taken.height, TALLEST)))


def on_a_sheet(page: Page) -> Image.Image:
    """Return all widths side by side, for each theme a row."""
    rows = [[shot(page, width, theme) for width in WIDTHS] for theme in THEMES]
    gap = 24
    breadth = sum(WIDTHS) + gap * (len(WIDTHS) + 1)
    heights = [max(it.height for it in row) for row in rows]
    made = Image.new("RGB", (breadth, sum(heights) + gap * (len(rows) + 1)), "#7a6fa8")
    top = gap
    for row, height in zip(rows, heights, strict=True):
        left = gap
        for it in row:
            made.paste(it, (left, top))
            left += it.width + gap
        top += height + gap
    return made


def look(browser: Browser, link: str, states: dict[str, Prepare], folder: Path) -> None:
    address, _, token = link.partition("?")
    for name, prepare in states.items():
        context = browser.new_context(
            base_url=address, viewport={"width": 1440, "height": HEIGHT}, reduced_motion="reduce"
        )
        page = context.new_page()
        if token:
            page.goto(f"/?{token}")
        prepare(page)
        on_a_sheet(page).save(folder / f"{name}.png")
        print(name, flush=True)
        context.close()


def furnish(studio: Pipeline) -> None:
    """Put in what is to be seen: photographs, one that is none, dead letters, a place, a comparison."""
    photos = [shutil.copy(it, studio.folder) for it in PHOTOS]
    (studio.folder / "words.jpg").write_text("no picture at all")
    studio.run("upload", *photos, "--wait")
    studio.run("upload", studio.folder / "words.jpg", "--wait", code=None)
    of = seeding.model(studio, "incoming/seeding.jpg")
    placed = {"gps": {"latitude": 43.19, "longitude": -4.83}}
    seeding.put(studio, [seeding.copy(of, "placed.jpg", 0, **placed), *seeding.many(of, 60)])
    for name in ("coffee.png", "picos.jpg", "sunset.jpg"):
        kill(studio, f"incoming/{name}")
    phases = [
        {
            "mode": mode,
            "weather": weather,
            "uploads": 30,
            "refused": refused,
            "unprocessed": refused,
            "upload_s": {"p50": half, "p95": most},
        }
        for mode, weather, refused, half, most in (
            ("coupled", "calm", 0, 0.62, 1.4),
            ("decoupled", "calm", 0, 0.05, 0.12),
            ("coupled", "slow", 7, 3.1, 8.2),
            ("decoupled", "slow", 0, 0.05, 0.13),
            ("coupled", "down", 30, None, None),
            ("decoupled", "down", 0, 0.06, 0.14),
        )
    ]
    told = {"kind": "compare", "phases": phases}
    (studio.folder / "compare.json").write_text(json.dumps(told))


def main(folder: Path, words: list[str]) -> None:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit("no Chromium: apt install chromium")
    folder.mkdir(parents=True, exist_ok=True)

    def chosen(states: dict[str, Prepare]) -> dict[str, Prepare]:
        asked = {k: v for k, v in states.items() if any(word in k for word in words)}
        return asked if words else states

    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as started:
        studio = Pipeline.copy_to(Path(scratch))
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            studio.run("up", "--yes")
            furnish(studio)
            with served(studio) as link:
                look(browser, link, chosen(STATES), folder)
            with served(studio, "--read-only", "--token", "open-sesame-open-sesame") as link:
                look(browser, link, chosen(READ_ONLY), folder)
            with served(studio) as link:
                studio.run("local", "stop")
                look(browser, link, chosen(STOPPED), folder)
        finally:
            studio.run("local", "stop", code=None)
            browser.close()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tests.browser.looks FOLDER [WORD ...]")
    main(Path(sys.argv[1]), sys.argv[2:])
