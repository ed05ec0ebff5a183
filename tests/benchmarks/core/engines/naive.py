"""Pillow as tutorials use it: decode everything, turn it, copy and `thumbnail` for each size; and as its pages do."""

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
        made.append(_saved(copy, job))
    return made


def drafted(data: bytes, job: Job) -> list[bytes]:
    """`thumbnail` before anything that decodes: of a JPEG it then asks for the scaled decode, `draft`."""
    made = []
    for side in job.sizes:
        im = Image.open(io.BytesIO(data))
        im.thumbnail((side, side), Image.Resampling.LANCZOS)
        made.append(_saved(ImageOps.exif_transpose(im).convert("RGB"), job))
    return made


def _saved(im: Image.Image, job: Job) -> bytes:
    out = io.BytesIO()
    if job.format == "jpeg":
        im.save(out, "JPEG", quality=job.quality)
    else:
        im.save(out, job.format.upper(), quality=job.quality, method=job.method)
    return out.getvalue()


def _heif() -> None:
    import pi_heif

    pi_heif.register_heif_opener()
