"""How near an engine's variants are to the best there is: full decode, one Lanczos step, no compression.

PSNR and SSIM (Gaussian window, sigma 1.5) of the brightness, after the encoder; the reference is made at the very size
that the engine made, so that a rounding of sizes costs nobody anything.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from tests.benchmarks.core.job import Job
from tests.benchmarks.core.workers import NotHereError, Workers

PEER = "sharp"
"""Whose quality and bytes ours may not fall short of: its usual form's."""
LEAST_DB = -0.15
MOST_BYTES = 1.015
WEIGHTS = np.float32([0.299, 0.587, 0.114])  # BT.601, as in JPEG


def measure(
    workers: Workers, names: Sequence[str], paths: Sequence[Path], job: Job
) -> dict[str, dict[str, Any]]:
    """Return, by engine and size, the means over the photographs of PSNR in dB, SSIM and bytes."""
    found: dict[str, dict[int, list[tuple[float, float, int]]]] = {}
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder:
        for path in paths:
            whole = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            references: dict[tuple[int, int], Any] = {}
            for name in names:
                into = Path(folder) / name
                try:
                    answer = workers.ask(name, path, job, save=str(into))
                except NotHereError:
                    continue
                if "error" not in answer:
                    for number, side in enumerate(job.sizes):
                        made = Path(f"{into}-{number}")
                        one = _compared(whole, made, references)
                        found.setdefault(name, {}).setdefault(side, []).append(one)
    return {
        name: {str(side): _means(each) for side, each in of.items()} for name, of in found.items()
    }


def against_peer(engines: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return by how much ours differs from sharp's usual form: dB and SSIM by size, our bytes over its own; None
    where either couldn't.
    """
    if "ours" not in engines or PEER not in engines:
        return None
    ours, peer = engines["ours"], engines[PEER]
    apart = {
        name: {size: round(ours[size][name] - peer[size][name], 4) for size in ours}
        for name in ("psnr_db", "ssim")
    }
    ratio = _bytes(ours) / _bytes(peer)
    met = min(apart["psnr_db"].values()) >= LEAST_DB and ratio <= MOST_BYTES
    return {**apart, "bytes_ratio": round(ratio, 4), "met": met}


def _bytes(sizes: dict[str, Any]) -> float:
    return float(sum(each["bytes"] for each in sizes.values()))


def _compared(
    whole: Image.Image, made: Path, references: dict[tuple[int, int], Any]
) -> tuple[float, float, int]:
    from skimage.metrics import structural_similarity  # only `make bench` installs it

    picture = Image.open(made)
    if picture.size not in references:
        best = whole.resize(picture.size, Image.Resampling.LANCZOS)
        references[picture.size] = _brightness(best)
    wanted, got = references[picture.size], _brightness(picture)
    error = float(((wanted - got) ** 2).mean())
    likeness = structural_similarity(
        wanted,
        got,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(10 * np.log10(255**2 / error)), float(likeness), made.stat().st_size


def _brightness(picture: Image.Image) -> Any:
    return np.asarray(picture.convert("RGB"), dtype=np.float32) @ WEIGHTS


def _means(each: list[tuple[float, float, int]]) -> dict[str, float]:
    decibels, likeness, size = (statistics.mean(column) for column in zip(*each, strict=True))
    return {"psnr_db": round(decibels, 2), "ssim": round(likeness, 4), "bytes": round(size)}
