"""Code on disk: each zip laid out once, in a folder named by its hash, for all environments.

The folders can be made again from the zips at any time. Python keeps its compiled modules in them,
so the second cold start is quicker than the first.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import stat
import tempfile
import threading
import zipfile
from pathlib import Path

KEPT = 24
"""How many folders of code outlive a restart: the latest used."""

RUNTIME_PACKAGES = (
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "dateutil",
    "six",
    "urllib3",
    "awslambdaric",
    "runtime_client",
    "simplejson",
    "snapshot_restore_py",
)
"""What a function finds without bringing it, as in AWS's managed runtimes: the SDK and the client."""


class Shelf:
    """Lays out zips under a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        _tidy(folder)

    def lay_out(self, digest: str, zipped: bytes) -> Path:
        """Return the folder with the content of `zipped`, whose hash is `digest`."""
        place = self._folder / digest
        if place.is_dir():
            return place
        with self._lock:
            if not place.is_dir():
                partial = Path(tempfile.mkdtemp(prefix=".", dir=self._folder))
                _extract(zipped, partial)
                partial.chmod(0o755)
                partial.rename(place)
        return place


def _extract(zipped: bytes, place: Path) -> None:
    """Extract with modes; zipfile itself keeps names inside `place`."""
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        for info in archive.infolist():
            path = archive.extract(info, place)
            mode = stat.S_IMODE(info.external_attr >> 16)
            if mode and not info.is_dir():
                Path(path).chmod(mode | stat.S_IRUSR)


def _tidy(folder: Path) -> None:
    """Remove what an interrupted start left behind, and code that was not used for long."""
    found = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    partial = [path for path in found if path.name.startswith(".")]
    whole = [path for path in found if not path.name.startswith(".")]
    for path in [*partial, *whole[KEPT:]]:
        shutil.rmtree(path, ignore_errors=True)


def runtime_folder(folder: Path) -> Path:
    """Make a folder that holds links to `RUNTIME_PACKAGES` of this interpreter and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in RUNTIME_PACKAGES:
        with contextlib.suppress(ImportError, ValueError):
            found = importlib.util.find_spec(name)
            if found is not None and found.origin:
                origin = Path(found.origin)
                source = origin.parent if origin.name == "__init__.py" else origin
                (folder / source.name).symlink_to(source)
    return folder
