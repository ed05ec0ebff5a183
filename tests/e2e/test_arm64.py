"""The zip for arm64 makes the same pictures as this machine: with a Python for arm64, which qemu can run.

`IMGPIPE_ARM64_PYTHON` is its command, such as `qemu-aarch64-static -L /arm64 /arm64/usr/bin/python3.13` with Debian's
packages for arm64 unpacked in `/arm64`. Its version must be Lambda's.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from imgpipe.deploy.wheels import LAMBDA_PYTHON
from tests.e2e import made_with
from tests.e2e.pipeline import Pipeline, without_aws
from tests.photos import DEMO, ROOT

COMMAND = shlex.split(os.environ.get("IMGPIPE_ARM64_PYTHON", ""))
MOST_LEVELS = 2
"""By which a filter's pixels may differ, of 255: processors round sums of fractions in their own way."""

pytestmark = pytest.mark.skipif(not COMMAND, reason="no Python for arm64: IMGPIPE_ARM64_PYTHON")


def made(command: list[str], code: Path, out: Path) -> str:
    """Return the processor and the version of the Python that `command` starts."""
    out.mkdir()
    photographs = map(str, sorted(DEMO.glob("*.jpg")))
    done = subprocess.run(
        [*command, made_with.__file__, str(code), str(out), *photographs],
        env={**without_aws(os.environ), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_zip_for_arm64_makes_the_same_pictures(tmp_path: Path) -> None:
    studio = tmp_path / "studio"
    studio.mkdir()
    pipeline = Pipeline.copy_to(studio)
    built = pipeline.run("package", "--target", "arm64", "--json").json
    [path] = [it["path"] for it in built if it["source"] == "images"]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "zip")

    there, here = tmp_path / "there", tmp_path / "here"
    assert made(COMMAND, tmp_path / "zip", there).startswith(f"aarch64 {LAMBDA_PYTHON}.")
    made([sys.executable], ROOT, here)

    names = {it.name for it in here.iterdir()}
    assert len(names) == 5 * len(list(DEMO.glob("*.jpg")))
    assert {it.name for it in there.iterdir()} == names
    for name in sorted(names):
        match Path(name).suffix:
            case ".jpeg":
                assert (there / name).read_bytes() == (here / name).read_bytes(), name
            case ".json":
                assert json.loads((there / name).read_text()) == json.loads(
                    (here / name).read_text()
                )
            case _:
                with Image.open(there / name) as one, Image.open(here / name) as other:
                    assert _furthest(one, other) <= MOST_LEVELS, name


def _furthest(one: Image.Image, other: Image.Image) -> int:
    """Return the largest difference of two RGB pictures in any pixel and colour, in levels of 255."""
    apart = ImageChops.difference(one, other)
    return max(number % 256 for number, count in enumerate(apart.histogram()) if count)
