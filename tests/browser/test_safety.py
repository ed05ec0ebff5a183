"""Strangers' names, strangers' pages, people without the token, and people who can't see a mouse pointer."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import served
from tests.e2e.pipeline import Pipeline
from tests.photos import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]
PHOTO = ROOT / "demo" / "photos" / "picos.jpg"
HOSTILE = (
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(2)>.jpg',
    "'-alert(3)-'.jpg",
    "{{7*7}}${alert(4)}.jpg",
    "javascript:alert(5)//.jpg",
    "</title><svg onload=alert(6)>.jpg",
    "\u202egpj.exe\u202c.jpg",
    "a&amp;b %3Cscript%3E +?#.jpg",
    "\u0130stanbul \U0001f98a.jpg",
)


def test_strange_names_start_no_script_and_are_shown_as_they_are(
    page: Page, studio: Pipeline
) -> None:
    """The page fixture fails on any dialog, and on any script that the policy had to stop."""
    s3 = studio.client("s3")
    bucket = studio.run("outputs", "--json").json["uploads_bucket"]
    for name in HOSTILE:
        s3.put_object(Bucket=bucket, Key=f"incoming/{name}", Body=PHOTO.read_bytes())
    page.goto("/")
    for name in HOSTILE:
        tile = page.locator(f"#main .tile.done:has(a):has-text({_quoted(name)})").first
        expect(tile.locator("img.picture.there")).to_be_visible()
        tile.locator("a").click()
        expect(page.locator("#sheet-title")).to_have_text(name)
        expect(page.locator("#sheet [data-after]")).to_have_js_property("complete", value=True)
        page.locator("#sheet .timeline summary").click()
        expect(page.locator("#sheet .hops li").first).to_be_visible()
        page.keyboard.press("Escape")
    assert page.evaluate("document.title").endswith("imgpipe")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def test_an_original_is_only_ever_saved(page: Page, studio: Pipeline) -> None:
    page.goto("/")
    s3 = studio.client("s3")
    bucket = studio.run("outputs", "--json").json["uploads_bucket"]
    s3.put_object(Bucket=bucket, Key="incoming/evil.html", Body=b"<script>alert(1)</script>")
    answer = page.request.get("/original?key=incoming/evil.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.request.get("/made?key=ops/lock.json").status == 404


def test_another_address_asks_for_the_token_and_keeps_it_in_a_cookie(
    browser: Browser, studio: Pipeline
) -> None:
    with served(studio, "--token", "open-sesame-open-sesame") as link:
        address = link.partition("?")[0]
        page = browser.new_page()
        page.goto(address)
        expect(page.get_by_label("Token")).to_be_visible()
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        page.goto(link)
        expect(page.locator("#search")).to_be_visible()
        assert "token" not in page.url
        page.close()


def test_a_read_only_console_shows_pictures_and_nothing_to_change(
    browser: Browser, studio: Pipeline
) -> None:
    with served(studio, "--read-only") as link:
        page = browser.new_page()
        page.goto(link)
        expect(page.locator("#search")).to_be_visible()
        expect(page.get_by_role("button", name="Upload", exact=True)).to_have_count(0)
        for path in ("desk", "why?key=a", "desk/letters", "compare"):
            assert page.request.get(link + path).status == 404
        ours = {"hx-request": "true", "origin": link.rstrip("/")}
        assert (
            page.request.post(link + "uploads/form", headers=ours, data={"name": "a"}).status == 403
        )
        page.close()


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing(page: Page, studio: Pipeline, theme: str, width: int) -> None:
    studio.run("upload", PHOTO, "--wait")
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(
        color_scheme="light" if theme == "light" else "dark", reduced_motion="reduce"
    )
    page.goto("/")
    expect(page.locator("#chunks")).to_have_attribute("aria-busy", "false")
    found = {"gallery": faults(page)}
    page.locator("#chunks .tile a").first.click()
    expect(page.locator("#sheet-title")).to_be_visible()
    found["image"] = faults(page)
    page.goto("/?q=nothing-is-called-so")
    expect(page.locator("#nothing")).to_be_visible()
    found["nothing"] = faults(page)
    page.goto("/desk")
    expect(page.locator("#alarms")).to_contain_text("well")
    expect(page.get_by_text("Reading the queues …")).to_have_count(0)
    found["desk"] = faults(page)
    page.goto("/compare")
    found["compare"] = faults(page)
    assert {name: some for name, some in found.items() if some} == {}


def faults(page: Page) -> list[str]:
    answer = Axe().run(page).response
    return [
        f"{it['id']}: {node['html'][:160]}" for it in answer["violations"] for node in it["nodes"]
    ]
