"""The examples of the pages about single commands run as they stand there, in the order of the page."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("studio")]
PAGES = {
    **dict.fromkeys(("why", "audit", "erase", "selftest", "watch"), 0),
    **dict.fromkeys(("versions", "foresee", "mending"), 0),
    "doctor": 3,  # two addresses of the studio haven't confirmed
}
"""Pages, and the exit code of their examples that find something; else it is 0."""
EXAMPLE = re.compile(r"^    \$ imgpipe (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(studio: Pipeline, page: str) -> None:
    shutil.copy(DEMO / "rocket.jpg", studio.folder / "photo.jpg")
    if page == "erase":
        studio.run("upload", "photo.jpg", "--wait")
    commands = EXAMPLE.findall((ROOT / "docs" / f"{page}.md").read_text())
    assert commands
    for command in commands:
        done = studio.run(*shlex.split(command, comments=True), code=None, timeout_s=400)
        assert done.code in {0, PAGES[page]}, (command, done.err)
