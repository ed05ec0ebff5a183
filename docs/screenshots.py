"""The console's pictures in docs/, of a pipeline on this machine that is put up for them and taken down.

    python docs/screenshots.py

It needs Chromium (`apt install chromium`) and takes about a minute. The photographs are those of `demo/photos`, and
details of them, so that there is something to scroll through.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "console": "/",
    "console-image": "/image?key=incoming%2Fcoffee.png",
    "console-desk": "/desk",
}
SIZE = {"width": 1280, "height": 800}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def run(folder: Path, *args: str) -> None:
    subprocess.run([sys.executable, "-m", "imgpipe", *args], cwd=folder, check=True)


def photographs(folder: Path) -> Iterator[list[Path]]:
    """Yield details of the photographs, and then the photographs: the latest comes first in the gallery."""
    whole = sorted(it for it in (ROOT / "demo" / "photos").iterdir() if it.suffix != ".md")
    for name, (left, top) in {
        "detail": (0.35, 0.3),
        "corner": (0.0, 0.45),
        "side": (0.5, 0.0),
    }.items():
        made = []
        for photo in whole:
            with Image.open(photo) as picture:
                width, height = picture.size
                x, y = int(width * left), int(height * top)
                part = picture.convert("RGB").crop((x, y, x + width // 2, y + height // 2))
            made.append(folder / f"{photo.stem}-{name}.jpg")
            part.save(made[-1], quality=90)
        yield made
    yield whole


@contextmanager
def console(folder: Path) -> Iterator[str]:
    """Put the photo studio up with some photographs in it, serve its console, and take it down again."""
    shutil.copy(ROOT / "pipeline.yaml", folder)
    shutil.copytree(ROOT / "lambdas", folder / "lambdas")
    try:
        run(folder, "up", "--yes")
        for some in photographs(folder):
            run(folder, "upload", *map(str, some), "--wait")
        command = [sys.executable, "-m", "imgpipe", "web", "--port", "0"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as served:
            yield (served.stdout.readline() if served.stdout else "").strip().rstrip("/")
            served.terminate()
    finally:
        run(folder, "local", "stop")


def shoot(browser: Browser, address: str, name: str, path: str) -> None:
    page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(address + path)
    page.wait_for_selector("[data-state=live]")
    page.wait_for_timeout(3000)
    page.screenshot(path=ROOT / "docs" / f"{name}.jpg", type="jpeg", quality=85)
    page.close()


def main() -> None:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit("no Chromium: apt install chromium")
    with (
        tempfile.TemporaryDirectory() as folder,
        console(Path(folder)) as address,
        sync_playwright() as started,
    ):
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name, path in PAGES.items():
            shoot(browser, address, name, path)
        browser.close()


if __name__ == "__main__":
    main()
