"""One image closely."""

from __future__ import annotations

from functools import partial

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser import seeding
from tests.browser.conftest import becomes
from tests.browser.test_desk import upload
from tests.e2e.pipeline import Pipeline
from tests.photos import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]


def drawn_in(picture: Locator) -> tuple[int, int]:
    """Return the width and height of a picture's place on the page."""
    box = picture.bounding_box()
    assert box is not None
    return round(box["width"]), round(box["height"])


def test_every_variant_is_shown_at_its_true_size_with_what_it_saves(
    page: Page, studio: Pipeline
) -> None:
    upload(studio, "close.jpg")
    row = studio.run("metadata", "show", "close.jpg", "--json").json
    page.goto("/image?key=incoming/close.jpg")
    page.get_by_role("button", name="True size").click()
    for name, made in row["outputs"].items():
        line = page.locator(".variants li", has=page.get_by_text(name, exact=True))
        line.get_by_role("button").click()
        picture = page.locator("[data-after]")
        expect(picture).to_have_js_property("naturalWidth", made["width"])
        becomes(page, partial(drawn_in, picture), (made["width"], made["height"]))
        expect(line).to_contain_text(f"{made['width']} \u00d7 {made['height']}")
        share = 100 * (1 - made["bytes"] / row["size"])
        expect(line).to_contain_text(f"{int(share)} % saved" if share > 0 else "the original")
        with page.expect_download() as saved:
            line.get_by_role("link").click()
        with Image.open(saved.value.path()) as got:
            assert got.size == (made["width"], made["height"])


def test_the_original_lies_under_a_slider(page: Page, studio: Pipeline) -> None:
    upload(studio, "slid.jpg")
    page.goto("/image?key=incoming/slid.jpg")
    page.get_by_role("button", name="Before and after").click()
    before = page.locator("[data-before]")
    expect(before).not_to_have_js_property("naturalWidth", 0)
    split = page.get_by_label("Before and after: how much")
    split.fill("250")
    expect(before).to_have_css("clip-path", "inset(0px 75% 0px 0px)")
    split.press("ArrowRight")
    expect(split).to_have_value("270")
    split.press("PageDown")
    expect(split).to_have_value("170")
    page.get_by_role("button", name="Before and after").click()
    expect(before).to_be_hidden()


DRAWN = """it => {
  const own = getComputedStyle(it), sides = [["Left", "Right", it.clientWidth], ["Top", "Bottom", it.clientHeight]];
  const padding = (side) => parseFloat(own[`padding${side}`]);
  const [broad, tall] = sides.map(([a, b, whole]) => whole - padding(a) - padding(b));
  let scale = Math.min(broad / it.naturalWidth, tall / it.naturalHeight);
  if (own.objectFit === "scale-down") scale = Math.min(scale, 1);
  return [Math.round(it.naturalWidth * scale), Math.round(it.naturalHeight * scale)];
}"""
"""The size in which a browser draws a picture, whatever its box is."""


def test_a_small_image_is_compared_in_one_size_and_not_drawn_larger_than_it_is(
    page: Page, studio: Pipeline
) -> None:
    photo = studio.folder / "little.png"
    Image.open(ROOT / "demo" / "photos" / "sunset.jpg").resize((600, 400)).save(photo)
    studio.run("upload", photo, "--wait")
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.goto("/?q=little")
    page.locator('#chunks .tile[data-key="incoming/little.png"] a').click()
    before, after = page.locator("[data-before]"), page.locator("[data-after]")
    expect(after).not_to_have_js_property("naturalWidth", 0)
    natural = after.evaluate("it => [it.naturalWidth, it.naturalHeight]")
    becomes(page, lambda: after.evaluate(DRAWN), natural)
    page.get_by_role("button", name="Before and after").click()
    expect(before).to_have_js_property("naturalWidth", 600)
    becomes(page, lambda: [it.evaluate(DRAWN) for it in (before, after)], [[600, 400]] * 2)


def test_true_size_and_before_and_after_let_go_of_each_other(page: Page, studio: Pipeline) -> None:
    upload(studio, "either.jpg")
    page.goto("/image?key=incoming/either.jpg")
    sized = page.get_by_role("button", name="True size")
    compared = page.get_by_role("button", name="Before and after")
    compared.click()
    sized.click()
    expect(compared).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-before]")).to_be_hidden()
    compared.click()
    expect(sized).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-before]")).to_be_visible()


def test_all_stays_as_it_was_arranged_when_an_image_is_made_again(
    page: Page, studio: Pipeline
) -> None:
    upload(studio, "arranged.jpg")
    page.goto("/?q=arranged")
    page.locator('#chunks .tile[data-key="incoming/arranged.jpg"] a').click()
    page.get_by_role("button", name="Before and after").click()
    page.get_by_label("Before and after: how much").fill("300")
    page.locator(".timeline summary").click()
    expect(page.locator(".hops li").first).to_be_visible()
    page.evaluate("document.querySelector('.detail').id = 'old'")
    page.get_by_role("button", name="Make again …").click()
    page.get_by_role("button", name="Make it again").click()
    page.locator("#ask").get_by_role("button", name="Done").click()
    expect(page.locator("#old")).to_have_count(0)
    expect(page.get_by_label("Before and after: how much")).to_have_value("300")
    expect(page.locator(".hops li").first).to_be_visible()


def test_a_map_is_there_only_where_the_place_is_kept(page: Page, studio: Pipeline) -> None:
    upload(studio, "unplaced.jpg")
    of = seeding.model(studio, "incoming/unplaced.jpg")
    gps = {"latitude": 43.19, "longitude": -4.83}
    seeding.put(studio, [seeding.copy(of, "zp/placed.jpg", 0, gps=gps)])
    hosts: set[str] = set()
    page.on("request", lambda it: hosts.add(it.url.split("/")[2]))
    page.goto("/image?key=incoming/unplaced.jpg")
    expect(page.locator(".facts")).to_be_visible()
    expect(page.locator(".place")).to_have_count(0)
    page.goto("/image?key=incoming/zp/placed.jpg")
    expect(page.get_by_role("img", name="A map with a mark at 43.1900, -4.8300")).to_be_visible()
    expect(page.locator(".place figcaption")).to_contain_text("43.19000, -4.83000")
    assert len(hosts) == 1, "the map is ours: nobody else hears where somebody was"


def test_the_timeline_tells_the_whole_way(page: Page, studio: Pipeline) -> None:
    upload(studio, "story.jpg")
    told: list[str] = []

    def is_all_told() -> bool:
        before = list(told)
        told[:] = [it["name"] for it in studio.run("why", "story.jpg", "--json").json["timeline"]]
        return told == before

    studio.wait_for("last word of the functions' logs", is_all_told)
    page.goto("/image?key=incoming/story.jpg")
    page.get_by_text("Timeline").click()
    hops = page.locator(".hops li")
    expect(hops.first).to_be_visible()
    expect(hops).to_have_count(len(told))
