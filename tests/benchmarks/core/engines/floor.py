"""What no engine on libjpeg-turbo can be quicker than: its scaled decode, and the same encodes.

Pillow's own binding is used, so that it is the very library that the core decodes with; it is fed the whole file and
adds about a hundredth. The decode is at the smallest of 1, 1/2, 1/4, 1/8 that still has the pixels of the largest
variant; the pixels to encode are made beforehand. Not a peer: it makes no variants from what it decodes.
"""

from __future__ import annotations

import io

from PIL import Image

from tests.benchmarks.core.job import Job, inside

_pixels: list[Image.Image] = []


def prepare(data: bytes, job: Job) -> None:
    """Keep the pixels that will be encoded; not timed."""
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    made = [whole.resize(inside(whole.size, side), Image.Resampling.LANCZOS) for side in job.sizes]
    _pixels.clear()
    _pixels.extend(made)


def variants(data: bytes, job: Job) -> list[bytes]:
    im = Image.open(io.BytesIO(data), formats=("JPEG",))
    im.decodermaxblock = len(data)
    im.draft(None, inside(im.size, job.sizes[0]))
    im.load()
    return [_encoded(each, job) for each in _pixels]


def _encoded(im: Image.Image, job: Job) -> bytes:
    out = io.BytesIO()
    im.save(out, "JPEG", quality=job.quality, subsampling=2, optimize=max(im.size) <= 800)
    return out.getvalue()
