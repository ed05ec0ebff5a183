"""OpenCV at its quickest: a reduced decode and INTER_AREA, each size from the next larger; softer than Lanczos."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image  # only reads the size from the header

from tests.benchmarks.core.job import Job, inside

cv2.setNumThreads(1)
REDUCED = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


def cascade(data: bytes, job: Job) -> list[bytes]:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), _flag(data, job.sizes[0]))
    made = []
    for side in job.sizes:
        size = inside((picture.shape[1], picture.shape[0]), side)
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        made.append(_encoded(picture, job))
    return made


def _flag(data: bytes, side: int) -> int:
    if not data.startswith(b"\xff\xd8"):
        return int(cv2.IMREAD_COLOR)
    times = max(Image.open(io.BytesIO(data)).size) / side
    return next((flag for least, flag in REDUCED if times >= least), int(cv2.IMREAD_COLOR))


def _encoded(picture: np.ndarray, job: Job) -> bytes:
    if job.format == "jpeg":
        chosen = [cv2.IMWRITE_JPEG_QUALITY, job.quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        return cv2.imencode(".jpg", picture, chosen)[1].tobytes()
    return cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, job.quality])[1].tobytes()
