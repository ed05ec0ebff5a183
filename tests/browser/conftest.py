"""A browser, and a console of a photo studio on an embedded cloud."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.pipeline import Pipeline, without_aws

PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)
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
            process.communicate(timeout=20)


@pytest.fixture(scope="session")
def console(studio: Pipeline) -> Iterator[str]:
    with served(studio) as link:
        yield link.rstrip("/")


@pytest.fixture
def page(browser: Browser, console: str) -> Iterator[Page]:
    """A page that may not complain: an error in its console, or a script of a stranger's, fails the test."""
    context = browser.new_context(base_url=console, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    opened.on("console", lambda said: _complain(complaints, said))
    yield opened
    context.close()
    assert complaints == []


def _complain(complaints: list[str], said: Any) -> None:
    if said.type == "error" and "ERR_INTERNET_DISCONNECTED" not in said.text:
        complaints.append(said.text)
