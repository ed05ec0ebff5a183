"""Photographs for tests: the corpus where it is there, the demonstration's otherwise.

The corpus is `IMGPIPE_CORPUS` or `../shared/corpus`. Where CI is set and the folder is there, its tests must run.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo" / "photos"
CORPUS = Path(os.environ.get("IMGPIPE_CORPUS", ROOT.parent / "shared" / "corpus"))


def photographs() -> list[Path]:
    """Return real photographs, JPEG first."""
    folder = CORPUS / "photos"
    found = sorted(folder.glob("*.jpg")) if folder.is_dir() else []
    return found or sorted(DEMO.glob("*.jpg"))
