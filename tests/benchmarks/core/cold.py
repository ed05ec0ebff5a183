"""A cold start in Lambda: how long the image handler's imports take, and how large its zip is.

The zips are those that `imgpipe package` builds, unpacked and imported by a bare Python (no site-packages). The peer
is what tutorials do: `pip install --target` of Pillow and `from PIL import Image`. Both are timed up to the opened
header of a JPEG, because Pillow loads its decoders there; boto3, which Lambda has, is kept out of both. Lambda's disk
can't be written to: without shipped `.pyc` files Python compiles at each cold start.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from tests.benchmarks.core import subjects
from tests.benchmarks.timing import environment
from tests.e2e.pipeline import Pipeline

OURS = "from imgpipe.runtime import image; from imgpipe.runtime.image.opening import open_image; "
OURS += "from imgpipe.runtime.settings import Limits; open_image(data, Limits())"
PLAIN = "from PIL import Image; Image.open(io.BytesIO(data))"
TIMED = """
import io, sys, time
sys.path.insert(0, {folder!r})
data = open({photo!r}, "rb").read()
started = time.process_time()
{work}
sys.stdout.write(str((time.process_time() - started) * 1000))
"""


def measure(runs: int) -> dict[str, Any]:
    """Return milliseconds of processor time (the least of `runs` fresh processes) and bytes."""
    folder = Path(tempfile.mkdtemp(prefix="imgpipe-bench-"))
    try:
        return _measured(folder, runs)
    finally:
        shutil.rmtree(folder)


def _measured(folder: Path, runs: int) -> dict[str, Any]:
    zips = _our_zips(folder / "project")
    ours, plain = folder / "ours", folder / "plain"
    with zipfile.ZipFile(zips["host"]) as packed:
        packed.extractall(ours)
    pillow_zip = _plain(plain)
    cold = {
        "imgpipe_without_pyc_ms": _import_ms(ours, OURS, runs),
        "pillow_without_pyc_ms": _import_ms(plain, PLAIN, runs),
    }
    for each in (ours, plain):
        compileall.compile_dir(each, quiet=1)
    cold |= {
        "imgpipe_ms": _import_ms(ours, OURS, runs),
        "pillow_ms": _import_ms(plain, PLAIN, runs),
    }
    sizes = {f"imgpipe_{target}": zips[target].stat().st_size for target in ("x86_64", "arm64")}
    return {"import": cold, "zip_bytes": sizes | {"pillow_host": pillow_zip.stat().st_size}}


def _our_zips(project: Path) -> dict[str, Path]:
    project.mkdir()
    Pipeline.copy_to(project)
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", "package", "--target", "all", "--json"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    built = [each for each in json.loads(done.stdout) if each["source"].endswith("images")]
    return {each["target"]: project / each["path"] for each in built}


def _plain(folder: Path) -> Path:
    """Install Pillow alone, as pip does, and pack it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-compile", "--target", str(folder), f"pillow=={_pillow()}"],
        check=True,
        capture_output=True,
    )
    return Path(shutil.make_archive(str(folder), "zip", folder))


def _pillow() -> str:
    import PIL

    return PIL.__version__


def _import_ms(folder: Path, work: str, runs: int) -> float:
    """Time the imports in an isolated Python that writes no bytecode."""
    program = TIMED.format(folder=str(folder), photo=str(subjects.large_jpeg()), work=work)
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    taken = []
    for _ in range(runs + 1):
        done = subprocess.run(
            [sys.executable, "-S", "-E", "-B", "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        )
        taken.append(float(done.stdout))
    return round(min(taken[1:]), 1)
