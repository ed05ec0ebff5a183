"""A browser, and a console of a photo studio on an embedded cloud."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.pipeline import Pipeline, without_aws
from tests.photos import ROOT
from tests.pictures import encoded

PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)
BROKEN = r"Failed to load resource|\[Uppy\]"
"""What may be said in the console of a page whose requests are broken on purpose."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium. Without one the tests skip, and fail in CI."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium: apt install chromium")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for a module: as long as it lives, asyncio can't be used by tests of anything else."""
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Pipeline]:
    """The photo studio, up. Tests share it: use names of your own."""
    pipeline = Pipeline.copy_to(tmp_path_factory.mktemp("studio"))
    try:
        pipeline.run("up", "--yes")
        yield pipeline
    finally:
        pipeline.run("local", "stop", code=None)


@cache
def photograph() -> bytes:
    """Return a photograph with its EXIF, a little larger than its largest variant is."""
    with Image.open(ROOT / "demo" / "photos" / "sunset.jpg") as found:
        found.thumbnail((1800, 1800))
        return encoded(found, exif=found.getexif())


@cache
def outputs(pipeline: Pipeline) -> dict[str, Any]:
    """Return what `imgpipe outputs` tells; a pipeline that is up keeps its names."""
    told: dict[str, Any] = pipeline.run("outputs", "--json").json
    return told


@contextmanager
def served(pipeline: Pipeline, *args: str) -> Iterator[str]:
    """Serve the console as a person does, and yield the link that it prints."""
    command = [sys.executable, "-m", "imgpipe", "web", "--port", "0", *args]
    with subprocess.Popen(
        command,
        cwd=pipeline.folder,
        env=without_aws(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            assert re.match(r"http://\S+", link), process.stderr and process.stderr.read()
            yield link
        finally:
            process.terminate()
            _, said = process.communicate(timeout=20)
            assert "Traceback" not in said


@pytest.fixture(scope="session")
def console(studio: Pipeline) -> Iterator[str]:
    with served(studio) as link:
        yield link.rstrip("/")


@pytest.fixture
def page(browser: Browser, console: str) -> Iterator[Page]:
    """A page that may not complain: an error in its console, or a script of a stranger's, fails the test."""
    with opened(browser, console) as page:
        yield page


@pytest.fixture
def unlucky_page(browser: Browser, console: str) -> Iterator[Page]:
    """A page whose requests the test breaks: the browser says so in its console, and may."""
    with opened(browser, console, forgive=BROKEN) as page:
        yield page


@contextmanager
def opened(
    browser: Browser, address: str, forgive: str = r"ERR_INTERNET_DISCONNECTED"
) -> Iterator[Page]:
    """Yield a page of a console, which counts what moves in it (`shifted`). Fail on what it complains of, or any other
    page that the test opens beside it.
    """
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(OBSERVE)
    page = context.new_page()
    complaints: list[str] = []
    context.on("weberror", lambda it: complaints.append(str(it.error)))
    context.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    context.on("console", lambda said: _complain(complaints, said, forgive))
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


def _complain(complaints: list[str], said: Any, forgive: str) -> None:
    if said.type == "error" and not re.search(forgive, said.text):
        complaints.append(said.text)


def becomes(page: Page, ask: Callable[[], object], wanted: object) -> None:
    """Wait until `ask` answers with what is wanted, for what `expect` has no word."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while (found := ask()) != wanted and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert found == wanted


OBSERVE = """
globalThis.shifts = [];
new PerformanceObserver((list) => {
  for (const it of list.getEntries()) if (!it.hadRecentInput) shifts.push({
    value: it.value,
    what: it.sources.map((s) => s.node && (s.node.id || s.node.className || s.node.nodeName)).join(", "),
  });
}).observe({ type: "layout-shift", buffered: true });
"""


def shifted(page: Page) -> list[str]:
    """Return what moved by itself since the page was opened; a hundredth of the window is what nobody sees."""
    found = page.evaluate("shifts")
    total = sum(it["value"] for it in found)
    return [f"{it['value']:.4f} {it['what']}" for it in found] if total >= 0.01 else []
