"""A cold start in Lambda: how long the image handler's imports take, and how large its zip is.

The zips are those that `imgpipe package` builds, unpacked and imported by a bare Python (no site-packages). The peer
is what tutorials do: `pip install --target` of Pillow, `import boto3` and `from PIL import Image`. Both are timed up to
the opened header of a JPEG, because Pillow loads its decoders there, once over an SDK that is imported already, once
with it, up to a client for S3: we need botocore alone. Lambda's disk can't be written to: what ships without `.pyc`
files that fit is compiled at each cold start. Ours ship with them; those of a `pip install` note the sources' times,
which a zip rounds.
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

OURS = (
    "import imgpipe.runtime.entry, handler; from imgpipe.runtime.image.opening import open_image; "
)
OURS += "from imgpipe.runtime.settings import Limits; open_image(data, Limits())"
PLAIN = "from PIL import Image; Image.open(io.BytesIO(data))"
OUR_CLIENT = "; from imgpipe.runtime.store import shared; shared().client('s3')"
PLAIN_CLIENT = "; import boto3; boto3.client('s3')"
SDK = "import boto3"
TIMED = """
import io, sys, time
sys.path.insert(0, {folder!r})
sys.path.append({sdk!r})
data = open({photo!r}, "rb").read()
{before}
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
        "pillow_ms": _import_ms(plain, PLAIN, runs),
        "pillow_ready_ms": _import_ms(plain, PLAIN + PLAIN_CLIENT, runs, before=""),
    }
    for each in (ours, plain):
        compileall.compile_dir(each, quiet=1)
    cold |= {
        "imgpipe_ms": _import_ms(ours, OURS, runs),
        "pillow_with_pyc_ms": _import_ms(plain, PLAIN, runs),
        "imgpipe_ready_ms": _import_ms(ours, OURS + OUR_CLIENT, runs, before=""),
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


def _import_ms(folder: Path, work: str, runs: int, *, before: str = SDK) -> float:
    """Time the imports in an isolated Python that writes no bytecode."""
    import boto3

    program = TIMED.format(
        folder=str(folder),
        sdk=str(Path(boto3.__file__).parent.parent),
        photo=str(subjects.large_jpeg()),
        before=before,
        work=work,
    )
    region = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **region}
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
