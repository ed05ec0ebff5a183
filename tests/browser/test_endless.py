"""A hundred thousand images, in a studio of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import seeding
from tests.browser.conftest import opened, served
from tests.browser.test_desk import upload
from tests.e2e.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("browser")]
MANY = 100_000


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Pipeline]:
    pipeline = Pipeline.copy_to(tmp_path_factory.mktemp("archive"))
    try:
        pipeline.run("up", "--yes")
        upload(pipeline, "model.jpg")
        seeding.put(pipeline, seeding.many(seeding.model(pipeline, "incoming/model.jpg"), MANY))
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


def test_a_hundred_thousand_scroll_by_and_a_few_hundred_are_held(
    browser: Browser, archive: Pipeline
) -> None:
    with served(archive) as link, opened(browser, link) as page:
        page.goto("/")
        expect(page.locator('.tile[data-key="incoming/many/000000.jpg"]')).to_be_visible()
        for _ in range(40):
            pages = page.locator(".chunk").count()
            page.mouse.wheel(0, 20_000)
            page.wait_for_function("n => document.querySelectorAll('.chunk').length > n", arg=pages)
        assert page.locator("#chunks .tile").count() < 600
        heap = page.evaluate("performance.memory.usedJSHeapSize")
        for _ in range(40):
            pages = page.locator(".chunk").count()
            page.mouse.wheel(0, 20_000)
            page.wait_for_function("n => document.querySelectorAll('.chunk').length > n", arg=pages)
        assert page.locator("#chunks .tile").count() < 600
        assert page.evaluate("performance.memory.usedJSHeapSize") < heap + 20_000_000
        page.evaluate("scrollTo(0, 0)")
        expect(page.locator('.tile[data-key="incoming/many/000000.jpg"]')).to_be_visible()
        # The oldest of them is found, though no more than a fifth are held in memory.
        page.locator("#q").fill("many/099999")
        expect(page.locator('.tile[data-key="incoming/many/099999.jpg"]')).to_be_visible(
            timeout=120_000
        )
