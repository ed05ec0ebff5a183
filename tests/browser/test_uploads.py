"""Uploads that go wrong, are taken back, or are interrupted."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.browser.conftest import BROKEN, becomes, opened, outputs, photograph
from tests.e2e.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]
LARGE_BYTES = 36_000_000
NOTED_MS = 1000
"""Uppy notes what it is about in the browser twice a second; who closes the page sooner begins anew."""


def is_for_s3(request_url: str) -> bool:
    return "photo-studio" in urlsplit(request_url).path


def send(page: Page, *names: str) -> None:
    page.set_input_files(
        "#files",
        [{"name": name, "mimeType": "image/jpeg", "buffer": photograph()} for name in names],
    )


def test_an_upload_that_failed_says_so_and_is_tried_again(unlucky_page: Page) -> None:
    page = unlucky_page
    page.route(is_for_s3, lambda route: route.abort())
    page.goto("/")
    send(page, "stormy.jpg")
    again = page.get_by_role("button", name="Try stormy.jpg again")
    expect(again).to_be_visible()
    expect(page.locator("#fresh")).to_contain_text("S3 could not be reached")
    expect(page.locator("#fresh-sum")).to_have_text("1 not sent")
    page.unroute(is_for_s3)
    again.click()
    expect(page.locator('#fresh .tile.done[data-key="incoming/stormy.jpg"]')).to_be_visible()


def test_an_upload_is_cancelled_and_nothing_of_it_stays(page: Page, studio: Pipeline) -> None:
    held: list[Route] = []
    page.route(is_for_s3, lambda route: held.append(route))  # noqa: PLW0108 - it is looked into
    page.goto("/")
    send(page, "second-thoughts.jpg")
    page.get_by_role("button", name="Cancel second-thoughts.jpg").click()
    expect(page.locator("#fresh")).to_be_hidden()
    send(page, "a.jpg", "b.jpg")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#fresh")).to_be_hidden()
    bucket = outputs(studio)["uploads_bucket"]
    listed = studio.client("s3").list_objects_v2(Bucket=bucket, Prefix="incoming/second")
    assert listed["KeyCount"] == 0


def test_several_files_and_a_folder_go_at_once(page: Page, tmp_path: Path) -> None:
    for name in ("one.jpg", "inner/two.jpg", ".hidden.jpg"):
        (tmp_path / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "album" / name).write_bytes(photograph())
    page.goto("/")
    page.set_input_files("#folder", tmp_path / "album")
    for name in ("album/one.jpg", "album/inner/two.jpg"):
        expect(page.locator(f'#fresh .tile.done[data-key="incoming/{name}"]')).to_be_visible()
    expect(page.locator("#fresh .tile")).to_have_count(2)


def test_a_name_that_is_there_is_asked_about_before_anything_is_sent(
    page: Page, studio: Pipeline
) -> None:
    page.goto("/")
    send(page, "twice.jpg")
    expect(page.locator('#fresh .tile.done[data-key="incoming/twice.jpg"]')).to_be_visible()
    first = studio.run("metadata", "show", "twice.jpg", "--json").json["version_id"]
    send(page, "twice.jpg", "thrice.jpg")
    ask = page.locator("#taken")
    expect(ask).to_contain_text("twice.jpg")
    expect(ask).not_to_contain_text("thrice.jpg")
    ask.get_by_role("button", name="Skip").click()
    expect(page.locator('#fresh .tile.done[data-key="incoming/thrice.jpg"]')).to_be_visible()
    send(page, "twice.jpg")
    ask.get_by_role("button", name="Keep both").click()
    expect(page.locator('#fresh .tile.done[data-key="incoming/twice-2.jpg"]')).to_be_visible()
    send(page, "twice.jpg")
    expect(ask).to_be_visible()
    page.keyboard.press("Escape")
    expect(ask).to_be_hidden()
    now = studio.run("metadata", "show", "twice.jpg", "--json").json["version_id"]
    assert now == first
    send(page, "twice.jpg")
    ask.get_by_role("button", name="Replace").click()

    def replaced() -> bool:
        row = studio.run("metadata", "show", "twice.jpg", "--json").json
        return bool(row["version_id"] != first)

    studio.wait_for("another version", replaced)


def test_a_name_with_a_line_break_is_taken(page: Page, tmp_path: Path) -> None:
    odd = tmp_path / "two\nlines.jpg"
    odd.write_bytes(photograph())
    page.goto("/")
    page.set_input_files("#files", odd)
    expect(page.locator("#fresh .tile.done")).to_have_attribute(
        "data-key", "incoming/two%0Alines.jpg"
    )


def test_a_large_file_goes_on_after_the_parts_that_s3_has(
    browser: Browser, console: str, studio: Pipeline, tmp_path: Path
) -> None:
    large = tmp_path / "panorama.tif"
    large.write_bytes(os.urandom(1_000_000) * (LARGE_BYTES // 1_000_000))
    sent: list[str] = []

    def note(request: Request) -> None:
        part = parse_qs(urlsplit(request.url).query).get("partNumber")
        if request.method == "PUT" and part:
            sent.append(part[0])

    with opened(browser, console, forgive=BROKEN) as page:
        held: list[Route] = []

        def let_some(route: Route) -> None:
            asked = parse_qs(urlsplit(route.request.url).query).get("partNumber", ["1"])
            route.continue_() if int(asked[0]) <= 3 else held.append(route)

        page.route(is_for_s3, let_some)
        page.goto("/")
        page.on("requestfinished", note)
        page.set_input_files("#files", large)
        expect(page.locator("#fresh .tile.sending")).to_contain_text("Uploading")
        becomes(page, lambda: len(sent) >= 3, wanted=True)
        page.wait_for_timeout(NOTED_MS)
        first = set(sent)
        sent.clear()
        # Somebody closes the page, and opens it again.
        again = page.context.new_page()
        page.close()
        again.on("requestfinished", note)
        again.goto("/")
        tile = again.locator('#fresh .tile[data-key="incoming/panorama.tif"]')
        expect(tile).to_be_visible()
    assert not first & set(sent), "what S3 has is not sent again"
    assert sent
    bucket = outputs(studio)["uploads_bucket"]
    head = studio.client("s3").head_object(Bucket=bucket, Key="incoming/panorama.tif")
    assert head["ContentLength"] == LARGE_BYTES
