"""Pillow as tutorials use it: decode everything, turn it, copy and `thumbnail` for each size."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from tests.benchmarks.core.job import Job

Image.MAX_IMAGE_PIXELS = None


def variants(data: bytes, job: Job) -> list[bytes]:
    if data[4:8] == b"ftyp":
        _heif()
    whole = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    made = []
    for side in job.sizes:
        copy = whole.copy()
        copy.thumbnail((side, side), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        if job.format == "jpeg":
            copy.save(out, "JPEG", quality=job.quality)
        else:
            copy.save(out, job.format.upper(), quality=job.quality, method=job.method)
        made.append(out.getvalue())
    return made


def _heif() -> None:
    import pi_heif

    pi_heif.register_heif_opener()
