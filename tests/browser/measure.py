"""How quick the console is, in Chromium on this machine: `python -m tests.browser.measure` prints a table for the docs.

Each number is the median of `TIMES`, with the longest behind it. An interaction is timed in the page, from the key or
the click to the frame in which what was asked for is there, with the console's and the embedded cloud's part in it.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import seeding
from tests.browser.conftest import BROWSERS, served
from tests.browser.test_desk import upload
from tests.e2e.pipeline import Pipeline

TIMES = 9
STAGES = (1_000, 10_000)

UNTIL = """async ([act, there]) => {
  const done = new Function(`return (${there})`), began = performance.now();
  new Function(act)();
  while (!done()) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""
TYPE = """
const q = document.querySelector("#q"); globalThis.turn = (globalThis.turn ?? 0) + 1;
q.value = "many/000" + (100 + turn); q.dispatchEvent(new InputEvent("input", { bubbles: true }));"""
TYPED = """document.querySelectorAll("#chunks .tile").length > 0 &&
[...document.querySelectorAll("#chunks .tile")].every((it) => it.dataset.key.includes("many/000" + (100 + turn)))"""
OPEN = """globalThis.at = (globalThis.at ?? 0) + 1;
document.querySelectorAll("#chunks .tile a")[at].click()"""
OPENED = """document.querySelector("#sheet").open && document.querySelector("#sheet .detail").dataset.key ===
document.querySelectorAll("#chunks .tile")[at].dataset.key"""
SCROLL = """globalThis.seen = document.querySelectorAll(".chunk:not(.loading)").length;
document.querySelector(".chunk.loading").scrollIntoView()"""
SCROLLED = 'document.querySelectorAll(".chunk:not(.loading)").length > seen'


def first_paint(browser: Browser, link: str) -> Iterator[float]:
    """Yield the time to the first contentful paint, of a browser that was never here."""
    for _ in range(TIMES):
        page = browser.new_page()
        page.goto(link)
        page.locator("#chunks .tile.done").first.wait_for()
        yield float(
            page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        )
        page.close()


def first_tiles(browser: Browser, link: str) -> Iterator[float]:
    """Yield the time until tiles have taken the place of their outlines."""
    for _ in range(TIMES):
        page = browser.new_page()
        page.goto(link, wait_until="commit")
        script = "() => document.querySelector('#chunks .tile.done') && performance.now()"
        yield float(page.wait_for_function(script).json_value())
        page.close()


def interaction(page: Page, act: str, there: str, after: Callable[[Page], None]) -> Iterator[float]:
    for _ in range(TIMES):
        yield float(page.evaluate(UNTIL, [act, there]))
        after(page)


def told(name: str, times: Iterator[float], most: int) -> str:
    found = list(times)
    return f"| {name} | {statistics.median(found):.0f} ms | {max(found):.0f} ms | {most} ms |"


def measured(browser: Browser, link: str, count: int) -> Iterator[str]:
    yield told(f"first paint, {count:,} images", first_paint(browser, link), 300)
    yield told(f"tiles in place, {count:,} images", first_tiles(browser, link), 1000)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(link)
    page.locator("#chunks .tile.done").first.wait_for()
    page.wait_for_timeout(15_000)  # as long as reading ten thousand rows into memory may take
    pause = lambda it: it.wait_for_timeout(300)  # noqa: E731
    close = lambda it: (it.keyboard.press("Escape"), it.wait_for_timeout(300))  # noqa: E731
    yield told(f"open an image, {count:,} images", interaction(page, OPEN, OPENED, close), 100)
    yield told(
        f"scroll to a page, {count:,} images", interaction(page, SCROLL, SCROLLED, pause), 100
    )
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)
    yield told(f"type in the search, {count:,} images", interaction(page, TYPE, TYPED, pause), 100)
    page.close()


@contextmanager
def studio() -> Iterator[Pipeline]:
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline.copy_to(Path(folder))
        try:
            pipeline.run("up", "--yes")
            upload(pipeline, "model.jpg")
            yield pipeline
        finally:
            pipeline.run("local", "stop", code=None)


def main() -> None:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit("no Chromium: apt install chromium")
    print("| | median | longest | wanted |\n|---|---:|---:|---:|")
    with studio() as pipeline, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        of = seeding.model(pipeline, "incoming/model.jpg")
        for count in STAGES:
            seeding.put(pipeline, seeding.many(of, count))
            with served(pipeline) as link:
                for line in measured(browser, link, count):
                    print(line, flush=True)
        browser.close()


if __name__ == "__main__":
    main()
