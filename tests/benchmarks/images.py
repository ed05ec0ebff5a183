"""Images through the embedded cloud: one of 12 MP when warm, and 500 of 2 MP at once."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image

from imgpipe.operate import rows
from imgpipe.operate.project import Project, open_project
from tests.benchmarks.processors import by_part
from tests.benchmarks.timing import environment, spread
from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO, photographs

ONE, MANY = 20, 500
TWO_MEGAPIXELS = (1732, 1155)
VARIANTS = 4


def measure(many: int = MANY) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="imgpipe-bench-"))
    pipeline = Pipeline.copy_to(folder)
    try:
        pipeline.run("up", "--yes")
        project = open_project(folder / "pipeline.yaml", "local")
        return {"one_12MP": _one(project)} | {f"{many}_x_2MP": _many(pipeline, project, many)}
    finally:
        pipeline.run("local", "stop", code=None)
        shutil.rmtree(folder)


def _one(project: Project) -> dict[str, Any]:
    """Put a photograph of 12 MP and ask for its row until it is done; the first five warm the functions."""
    photo = DEMO / "sunset.jpg"
    taken = [_until_done(project, photo, f"incoming/one-{turn}.jpg") for turn in range(ONE + 5)][5:]
    return {"photograph": photo.name, "done_s": spread(taken)}


def _until_done(project: Project, photo: Path, key: str) -> float:
    data = photo.read_bytes()
    started = time.perf_counter()
    project.cloud.client("s3").put_object(Bucket=project.graph.uploads_bucket, Key=key, Body=data)
    while rows.by_keys(project, [key], consistent=True).get(key, {}).get("status") != "done":
        if time.perf_counter() - started > 60:
            raise TimeoutError(key)
        time.sleep(0.01)
    return time.perf_counter() - started


def _many(pipeline: Pipeline, project: Project, count: int) -> dict[str, Any]:
    album = _album(pipeline.folder / "album", count)
    server = json.loads((pipeline.folder / ".imgpipe" / "cloud.json").read_text())["pid"]
    before, command_before = by_part(server), _children_s()
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", "upload", str(album), "--wait", "--json"],
        cwd=pipeline.folder,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    taken = time.perf_counter() - started
    used = by_part(server)
    used.subtract(before)
    used["command upload"] = _children_s() - command_before
    ended = Counter(image["status"] for image in json.loads(done.stdout))
    return {
        "seconds": round(taken, 2),
        "images_per_s": round(count / taken, 2),
        "ended": dict(ended),
        "lost": count - ended["done"],
        "extra_outputs": _outputs(project, "album/") - VARIANTS * count,
        "processor_s": {
            part: round(seconds, 2) for part, seconds in used.most_common() if seconds > 0.005
        },
        "processor_s_per_image": round(sum(used.values()) / count, 4),
    }


def _album(folder: Path, count: int) -> Path:
    """Make `count` different photographs of 2 MP from real ones."""
    folder.mkdir()
    sources = [
        Image.open(photo).convert("RGB").resize(TWO_MEGAPIXELS) for photo in photographs()[:10]
    ]
    for number in range(count):
        picture = sources[number % len(sources)].copy()
        picture.putpixel((0, 0), (number % 256, number // 256, 0))
        picture.save(folder / f"{number:04}.jpg", quality=85)
    return folder


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _outputs(project: Project, part: str) -> int:
    pages = project.cloud.client("s3").get_paginator("list_objects_v2")
    return sum(
        part in found["Key"]
        for page in pages.paginate(Bucket=project.graph.variants_bucket)
        for found in page.get("Contents", [])
    )
