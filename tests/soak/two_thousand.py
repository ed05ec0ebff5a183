"""A pipeline with 2,000 images of which 50 fail in five ways, and every command that an operator has, one by one.

    python -m tests.soak.two_thousand FOLDER [--images 2000] [--walk-only]

Puts a pipeline up in FOLDER on the embedded cloud, uploads, waits until all has ended, then runs each command, checks
its exit code and tells its time. What each one wrote is kept in FOLDER/said/, as an 80-column terminal shows it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.pipeline import Pipeline, without_aws

EACH = 10
FILTER = '''"""Stands for a person's own code with a fault in it: it can't do pictures that are 641 pixels wide."""

LENSES = {641: None}


def lens(im, value):
    return LENSES[im.width].correct(im) if im.width in LENSES else im
'''
WAYS = ("cut", "bomb", "notes", "lens", "denied")


@dataclass(frozen=True)
class Step:
    """A command, what it may exit with, and what it was run for."""

    words: tuple[str, ...]
    codes: tuple[int, ...] = (0,)


def pictures(folder: Path, count: int) -> None:
    """Write `count` small files: good photographs, and ten of each of five that fail."""
    from PIL import Image

    from imgpipe.operate.load.pictures import made

    folder.mkdir(parents=True, exist_ok=True)
    good = made(0.273)
    odd = folder / "odd.tmp"
    Image.new("RGB", (641, 427), (90, 120, 160)).save(odd, "JPEG")
    wide = odd.read_bytes()
    odd.unlink()
    for number in range(count - EACH * len(WAYS)):
        _write(folder / f"day-{number % 20:02}" / f"{number:04}.jpg", _numbered(good, number))
    for number in range(EACH):
        mark = str(number).encode()
        _write(folder / "cut" / f"{number}.jpg", good[: len(good) // 3 + number])
        _write(folder / "bomb" / f"{number}.png", _png(30_000 + number, 30_000))
        _write(folder / "notes" / f"{number}.jpg", b"these are the notes of day " + mark)
        _write(folder / "lens" / f"{number}.jpg", _numbered(wide, number))
        _write(folder / "denied" / f"{number}.jpg", _numbered(good, 900_000 + number))


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(body)


def _numbered(jpeg: bytes, number: int) -> bytes:
    """Return `jpeg` with a comment that no other has."""
    text = f"number {number}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def _png(width: int, height: int) -> bytes:
    """Return a few bytes that say they are a picture of that size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checked = name + data
        return len(data).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def put_up(folder: Path) -> Pipeline:
    """Put the photo studio up with a filter that fails, and with a folder of uploads that nobody may read."""
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline.copy_to(folder)
    declared = (folder / "pipeline.yaml").read_text()
    declared = declared.replace("filters: [autocontrast,", "filters: [lens, autocontrast,")
    declared = declared.replace("lambda: {backoff: 1s}", "lambda: {backoff: 1s, retries: 3}")
    (folder / "pipeline.yaml").write_text(declared)
    filters = folder / "lambdas" / "images" / "filters"
    filters.mkdir(exist_ok=True)
    (filters / "lens.py").write_text(FILTER)
    pipeline.run("up", "--yes", timeout_s=600)
    deny(pipeline)
    return pipeline


def deny(pipeline: Pipeline) -> None:
    """Take away one folder from the function that makes the sizes, as a hasty change of a policy does."""
    bucket = pipeline.run("outputs", "--json").json["uploads_bucket"]
    about = {"Effect": "Deny", "Action": "s3:GetObject*"}
    resource = f"arn:aws:s3:::{bucket}/incoming/pictures/denied/*"
    document = {"Version": "2012-10-17", "Statement": [{**about, "Resource": resource}]}
    iam = pipeline.client("iam")
    role = next(it["RoleName"] for it in iam.list_roles()["Roles"] if "-images" in it["RoleName"])
    iam.put_role_policy(RoleName=role, PolicyName="hasty", PolicyDocument=json.dumps(document))


def wait(pipeline: Pipeline, count: int) -> None:
    """Wait until every image has ended, with a line every ten seconds."""
    while True:
        found: Any = pipeline.run("status", "--json", code=None).json
        images = found["images"]
        print(time.strftime("%H:%M:%S"), images, flush=True)
        ended = sum(images[name] for name in ("done", "failed", "rejected"))
        if ended >= count and not images["in_flight"]:
            return
        time.sleep(10)


def walk() -> list[Step]:
    """Return every command, in the order that an operator might come to it."""
    return [
        Step(("status",)),
        Step(("status", "--check"), (3,)),
        Step(("watch", "--plain", "--count", "2")),
        Step(("watch", "--json", "--count", "1")),
        Step(("metadata", "list", "--status", "failed")),
        Step(("metadata", "list", "--json")),
        Step(("dlq", "groups")),
        Step(("dlq", "groups", "--json")),
        Step(("dlq", "list")),
        Step(("dlq", "list", "--json")),
        Step(("dlq", "list", "--key", "pictures/lens/*")),
        *(
            Step(("why", f"pictures/{way}/3.{'png' if way == 'bomb' else 'jpg'}"), (3,))
            for way in WAYS
        ),
        Step(("why", "pictures/day-03/0003.jpg")),
        Step(("why", "never/was.jpg", "--json"), (3,)),
        Step(("doctor",), (3,)),
        Step(("doctor", "--json"), (3,)),
        Step(("logs", "--errors", "--since", "1h")),
        Step(("logs", "--key", "pictures/lens/3.jpg")),
        Step(("logs", "--key", "pictures/lens/3.jpg", "--json")),
        Step(("audit",), (0, 3)),
        Step(("audit", "--json"), (0, 3)),
        Step(("audit", "--heal", "--dry-run"), (0, 3)),
        Step(("dlq", "redrive", "--step", "enhance", "--dry-run"), (0, 3)),
        Step(("dlq", "redrive", "--older-than", "2d", "--yes"), (0, 3)),
        Step(("dlq", "redrive", "--key", "pictures/denied/*", "--canary", "--yes"), (0, 1, 3)),
        Step(("dlq", "rescue", "--key", "pictures/cut/*"), (0, 3)),
        Step(("dlq", "rescue", "--list"), (0, 2)),
        Step(("backfill", "--dry-run"), (0, 3)),
        Step(("reprocess", "--stale", "--dry-run"), (0, 3)),
        Step(("reprocess", "pictures/day-01/", "--dry-run", "--json"), (0, 3)),
        Step(("cost",)),
        Step(("cost", "--json")),
        Step(("simulate", "--rate", "20", "--burst", "2000", "--seed", "1")),
        Step(("versions",)),
        Step(("versions", "--json")),
        Step(("erase", "pictures/lens/9.jpg", "--dry-run")),
        Step(("erase", "pictures/lens/9.jpg", "--yes"), (0, 3)),
        Step(("selftest", "--no-alarm"), (0, 3)),
        Step(("plan",)),
    ]


def run(folder: Path, step: Step, number: int) -> tuple[float, int]:
    """Run one command; keep what it wrote."""
    env = {**without_aws(os.environ), "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"}
    if "--json" not in step.words:
        env["FORCE_COLOR"] = "1"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", *step.words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=900,
    )
    took = time.monotonic() - began
    said = folder / "said"
    said.mkdir(exist_ok=True)
    name = "-".join(word.strip("-").replace("/", "_") for word in step.words)
    text = f"$ imgpipe {' '.join(step.words)}\nexit {done.returncode}, {took:.1f} s\n"
    (said / f"{number:02}-{name[:60]}.txt").write_text(
        f"{text}--- out\n{done.stdout}--- err\n{done.stderr}"
    )
    return took, done.returncode


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--images", type=int, default=2000)
    asked.add_argument("--walk-only", action="store_true")
    given = asked.parse_args()
    folder = given.folder.resolve()
    if not given.walk_only:
        pipeline = put_up(folder)
        pictures(folder / "pictures", given.images)
        began = time.monotonic()
        pipeline.run("upload", folder / "pictures", timeout_s=1800)
        print(f"uploaded in {time.monotonic() - began:.0f} s", flush=True)
        wait(pipeline, given.images)
        print(f"all ended after {time.monotonic() - began:.0f} s", flush=True)
    wrong = 0
    for number, step in enumerate(walk()):
        took, code = run(folder, step, number)
        fits = code in step.codes
        wrong += not fits
        mark = "" if fits else f"   <- wanted {step.codes}"
        print(f"{took:7.1f} s  exit {code}  imgpipe {' '.join(step.words)}{mark}", flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
