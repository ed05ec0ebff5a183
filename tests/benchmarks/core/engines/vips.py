"""libvips by pyvips, at its best: `thumbnail` for the largest, each smaller one from the next larger."""

from __future__ import annotations

import pyvips

from tests.benchmarks.core.job import Job

pyvips.cache_set_max(0)


def cascade(data: bytes, job: Job) -> list[bytes]:
    made: list[bytes] = []
    picture = None
    for side in job.sizes:
        if picture is None:
            picture = pyvips.Image.thumbnail_buffer(data, side, height=side, size="down")
        else:
            picture = picture.thumbnail_image(side, height=side, size="down")
        if picture.hasalpha() and job.format == "jpeg":
            picture = picture.flatten(background=[255])
        picture = picture.copy_memory()
        made.append(_encoded(picture, job))
    return made


def _encoded(picture: pyvips.Image, job: Job) -> bytes:
    if job.format == "jpeg":
        encoded = picture.jpegsave_buffer(Q=job.quality, optimize_coding=True, keep="none")
    else:
        encoded = picture.webpsave_buffer(Q=job.quality, effort=job.method, keep="none")
    return bytes(encoded)
