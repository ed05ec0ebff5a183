"""A contact sheet of image files: each as Pillow opens it, beside what the core makes of it.

    python -m tests.contact_sheet FOLDER SHEET.png [--per-page 96]

For eyes: colours that shift, pictures on their side, alpha that turned black. Files that the core
refuses show their reason. Several pages become SHEET-2.png and so on.
"""

from __future__ import annotations

import argparse
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from imgpipe.runtime import image
from imgpipe.runtime.errors import Rejected
from imgpipe.runtime.image.filters.marks import FONT
from imgpipe.runtime.settings import Limits

CELL, LABEL, COLUMNS = 110, 24, 6
WANTED = {"s": {"variants": {"v": {"width": CELL, "height": CELL, "format": "png"}}}}


def before(data: bytes) -> Image.Image | str:
    """Return the picture as a viewer without colour management or orientation shows it."""
    try:
        with Image.open(io.BytesIO(data)) as im:
            im.load()
            shown = im.convert("RGBA")
    except Exception as error:  # noqa: BLE001 - the sheet shows whatever happens
        return type(error).__name__
    return ImageOps.contain(shown, (CELL, CELL)) if max(shown.size) > CELL else shown


def after(data: bytes) -> Image.Image | str:
    try:
        made = image.make(data, WANTED, Limits())["s"].variants["v"]
    except Rejected as refusal:
        return refusal.reason.value
    return Image.open(io.BytesIO(made.data)).convert("RGBA")


def chequers() -> Image.Image:
    made = Image.new("RGBA", (CELL, CELL), "#ffffff")
    draw = ImageDraw.Draw(made)
    for x in range(0, CELL, 10):
        for y in range(x % 20, CELL, 20):
            draw.rectangle((x, y, x + 9, y + 9), fill="#d0d0d0")
    return made


def cell(shown: Image.Image | str) -> Image.Image:
    made = chequers()
    if isinstance(shown, str):
        words = shown.replace("_", "\n")
        ImageDraw.Draw(made).multiline_text((6, 6), words, "#b00000", _font(12))
        return made
    made.alpha_composite(shown, ((CELL - shown.width) // 2, (CELL - shown.height) // 2))
    return made


def page(files: Sequence[Path]) -> Image.Image:
    rows = -(-len(files) // COLUMNS)
    wide, high = 2 * CELL + 16, CELL + LABEL
    sheet = Image.new("RGB", (COLUMNS * wide, rows * high), "#ffffff")
    for index, file in enumerate(files):
        x, y = index % COLUMNS * wide, index // COLUMNS * high
        data = file.read_bytes()
        sheet.paste(cell(before(data)).convert("RGB"), (x, y))
        sheet.paste(cell(after(data)).convert("RGB"), (x + CELL + 2, y))
        name = f"{file.parent.name}/{file.name}"[-36:]
        ImageDraw.Draw(sheet).text((x + 2, y + CELL + 3), name, "#000000", _font(11))
    return sheet


def pages(files: Sequence[Path], per_page: int) -> Iterator[Image.Image]:
    for start in range(0, len(files), per_page):
        yield page(files[start : start + per_page])


def _font(height: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, height)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("sheet", type=Path)
    asked.add_argument("--per-page", type=int, default=60)
    given = asked.parse_args()
    files = sorted(path for path in given.folder.rglob("*") if path.is_file())
    images = [path for path in files if path.suffix not in (".json", ".md", ".txt")]
    warnings.simplefilter("ignore")
    for number, sheet in enumerate(pages(images, given.per_page), 1):
        suffix = f"-{number}" if number > 1 else ""
        path = given.sheet.with_stem(given.sheet.stem + suffix)
        sheet.save(path)
        print(path)


if __name__ == "__main__":
    main()
