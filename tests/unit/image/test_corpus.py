"""Every file of the corpus has one end: processed, or rejected with a reason of the closed list."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from imgpipe.runtime import image
from imgpipe.runtime.errors import Rejected
from imgpipe.runtime.guard import Guard, can_fork
from imgpipe.runtime.made import Make
from imgpipe.runtime.settings import Limits
from tests.photos import CORPUS
from tests.pictures import opened

WANTED: dict[str, dict[str, Any]] = {
    "thumbnail": {"variants": {"thumb": {"width": 200, "height": 200, "fit": "cover"}}},
    "enhance": {
        "filters": [{"autocontrast": None}, {"sharpen": 1.2}],
        "variants": {"enhanced": {"width": 400, "format": "webp"}},
    },
    "sizes": {
        "variants": {
            "medium": {"width": 300},
            "card": {"width": 90, "height": 60, "fit": "contain", "format": "png"},
        }
    },
    "marked": {
        "filters": [{"rotate": 7}, {"watermark": "© Studio"}, {"border": 2}],
        "variants": {
            "marked": {
                "width": 64,
                "height": 40,
                "fit": "cover",
                "gravity": "attention",
                "format": "gif",
            }
        },
    },
    "print": {"variants": {"proof": {"width": 80, "profile": "keep", "progressive": True}}},
    "metadata": {"exif": True, "gps": "keep", "palette": 5, "tags": "basic"},
}


def listed(manifest: Path) -> list[dict[str, Any]]:
    """Return the corpus's files. Where CI is set and the folder is there, it must be readable."""
    if manifest.is_file() or (os.environ.get("CI") and CORPUS.is_dir()):
        files: list[dict[str, Any]] = json.loads(manifest.read_text())["files"]
        return files
    return []


FILES = listed(CORPUS / "manifest.json")
PHOTOS = listed(CORPUS / "photos" / "manifest.json")
needs_corpus = pytest.mark.skipif(not FILES, reason=f"no corpus at {CORPUS}")


def end_of(data: bytes, make: Make) -> tuple[str, str]:
    try:
        made = make(data, WANTED, Limits())
    except Rejected as refusal:
        return "rejected", refusal.message
    json.dumps(dict(made["metadata"].facts), allow_nan=False)
    for step in made.values():
        for picture in step.variants.values():
            assert opened(picture.data).size == (picture.width, picture.height)
    return "processed", ""


@needs_corpus
@pytest.mark.parametrize("category", sorted({file["category"] for file in FILES}))
def test_every_file_ends_as_expected(category: str, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = []
    make = Guard(image.make) if can_fork() else image.make
    for file in (each for each in FILES if each["category"] == category):
        end, why = end_of((CORPUS / file["path"]).read_bytes(), make)
        if file["expected"] not in ("either", end):
            wrong.append((file["path"], file["expected"], end, why))
    assert not wrong
    assert not capfd.readouterr().err


@pytest.mark.skipif(not PHOTOS, reason=f"no photographs at {CORPUS}")
@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo["name"])
def test_photographs_come_out_in_their_own_shape(photo: dict[str, Any]) -> None:
    path = CORPUS / photo["path"]
    if not path.is_file():
        pytest.skip("not in this corpus")
    made = image.make(path.read_bytes(), WANTED, Limits())
    width, height = made["metadata"].facts["width"], made["metadata"].facts["height"]
    medium = made["sizes"].variants["medium"]
    stored = (photo["w"], photo["h"])
    assert (width, height) in (stored, stored[::-1])
    assert abs(medium.width / medium.height - width / height) < 0.02
