"""The image core as the pipeline's functions call it: `imgpipe.runtime.image`, from bytes to variants and facts."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from imgpipe.runtime import image
from imgpipe.runtime.guard import guarded as in_child
from imgpipe.runtime.image import encoding, opening, resampling
from imgpipe.runtime.made import Make
from imgpipe.runtime.settings import Limits
from tests.benchmarks.core.job import Job

LIMITS = Limits()
SIMD = resampling._resizer
FROM_PIXELS = opening.WORTH_VIPS_PIXELS
opening.WORTH_VIPS_PIXELS = sys.maxsize  # a function carries libvips only if it is asked to
EXTRAS: dict[str, dict[str, Any]] = {
    "enhance": {
        "filters": [{"autocontrast": None}, {"saturation": 1.2}, {"sharpen": 1.2}],
        "variants": {"enhanced": {"width": 800, "height": 800}},
    },
    "tint": {
        "filters": [{"tint": "#ffdc96"}],
        "variants": {"tinted": {"width": 800, "height": 800}},
    },
    "metadata": {"exif": True, "gps": "round", "palette": 5},
}


def variants(data: bytes, job: Job) -> list[bytes]:
    resampling._resizer = SIMD
    return _made(data, {"sizes": _step(job)}, job)


def with_vips(data: bytes, job: Job) -> list[bytes]:
    """Let libvips decode a PNG's pixels, as in a function that carries it."""
    from imgpipe.runtime.image import unfiltering

    if not unfiltering.AVAILABLE:
        raise ModuleNotFoundError("pyvips-binary")
    resampling._resizer = SIMD
    opening.WORTH_VIPS_PIXELS = FROM_PIXELS
    try:
        return _made(data, {"sizes": _step(job)}, job)
    finally:
        opening.WORTH_VIPS_PIXELS = sys.maxsize


def without_simd(data: bytes, job: Job) -> list[bytes]:
    """Resample with Pillow's own code, as on arm64."""
    resampling._resizer = None
    return _made(data, {"sizes": _step(job)}, job)


def whole_job(data: bytes, job: Job) -> list[bytes]:
    """Make the same variants, an enhanced and a tinted picture of 800 px, and the facts."""
    resampling._resizer = SIMD
    return _made(data, {"sizes": _step(job), **EXTRAS}, job)


def guarded(data: bytes, job: Job) -> list[bytes]:
    """Make the same variants in the guarded child, which is warm."""
    resampling._resizer = SIMD
    return _made(data, {"sizes": _step(job)}, job, _child())


@lru_cache(maxsize=1)
def _child() -> Make:
    return in_child(image.make)


def _step(job: Job) -> dict[str, Any]:
    return {
        "variants": {
            str(side): {
                "width": side,
                "height": side,
                "quality": job.quality,
                "format": job.format,
            }
            for side in job.sizes
        }
    }


def _made(
    data: bytes, steps: dict[str, dict[str, Any]], job: Job, make: Make = image.make
) -> list[bytes]:
    encoding.WEBP_METHOD = job.method
    made = make(data, steps, LIMITS)["sizes"].variants
    return [made[str(side)].data for side in job.sizes]
