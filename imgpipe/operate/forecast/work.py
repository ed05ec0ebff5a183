"""What one good image asks of each part of a pipeline: requests, milliseconds, bytes.

The counts follow the code: a function opens an upload with one GetObject, stores each variant with one PutObject, and
sends the results of all its steps in one request; the writer reads and writes a row once for each function that
reported; a notice is claimed, published and marked as sent.
`tests/unit/test_forecast.py` counts them on a real run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from imgpipe.operate.forecast.figures import Timings
    from imgpipe.operate.forecast.topology import Topology, Worker

FULL_PROCESSOR_MB = 1769
"""Memory at which Lambda gives a function one whole processor. More gives more processors, which one image's work
doesn't use.
"""
MULTIPART_BYTES = 8 * 1_048_576
"""boto3 uploads larger files in parts of this size."""
ROW_BYTES, ROW_BYTES_PER_VARIANT, CLAIM_BYTES = 1_400, 160, 300
LOG_BYTES_PER_INVOCATION, LOG_BYTES_PER_LINE = 480, 190


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A typical upload: bytes, and pixels of both sides."""

    bytes: int
    width: int
    height: int

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one image asks of one function."""

    worker: Worker
    messages: float  # that it takes in
    busy_ms: float  # of one full processor, for one message
    wait_ms: float  # for AWS, for one message
    gets: float = 0
    puts: float = 0
    sends: float = 0  # SQS requests that it makes
    publishes: float = 0
    table_reads: float = 0
    table_writes: float = 0
    log_lines: float = 0

    @property
    def ms(self) -> float:
        """How long one message takes, with the processor that the function's memory gives it."""
        share = min(1.0, self.worker.memory_mb / FULL_PROCESSOR_MB)
        return self.busy_ms / share + self.wait_ms


def photograph(size_bytes: int, timings: Timings) -> Image:
    """Return a camera's JPEG of that size, 3:2."""
    pixels = size_bytes / timings.upload_bytes_per_pixel
    height = math.sqrt(pixels / 1.5)
    return Image(bytes=size_bytes, width=round(height * 1.5), height=round(height))


def loads(topology: Topology, image: Image, timings: Timings) -> list[Load]:
    """Return what `image` asks of every function that hears of an upload; tidy hears of none."""
    made = [_images(worker, image, timings) for worker in topology.images]
    if topology.writer:
        made.append(_writer(topology.writer, len(topology.images), timings))
    if topology.notifier:
        made.append(_notifier(topology.notifier, timings))
    return made


def upload_requests(image: Image) -> int:
    """Return the requests that an upload takes: one, or one a part and two around them."""
    if image.bytes < MULTIPART_BYTES:
        return 1
    return math.ceil(image.bytes / MULTIPART_BYTES) + 2


def row_bytes(topology: Topology) -> int:
    variants = sum(len(worker.variants) for worker in topology.images)
    return ROW_BYTES + ROW_BYTES_PER_VARIANT * variants


def variant_pixels(variant: Mapping[str, Any], image: Image) -> float:
    """Return the pixels of a variant; it never gets larger than the upload unless told to."""
    width, height = variant.get("width"), variant.get("height")
    if width and height and variant.get("fit") in {"cover", "fill", "contain"}:
        return float(min(width * height, image.width * image.height))
    scale = min(
        1.0,
        width / image.width if width else math.inf,
        height / image.height if height else math.inf,
    )
    return image.width * image.height * scale**2


def variant_bytes(variant: Mapping[str, Any], image: Image, timings: Timings) -> float:
    kind = str(variant.get("format", "jpeg"))
    dense = timings.bytes_per_pixel.get(kind, timings.bytes_per_pixel["jpeg"])
    return variant_pixels(variant, image) * dense


def _images(worker: Worker, image: Image, timings: Timings) -> Load:
    variants = len(worker.variants)
    slower = timings.arm64_factor if worker.architecture == "arm64" else 1.0
    return Load(
        worker=worker,
        messages=1,
        busy_ms=slower * _pixels_ms(worker, image, timings) + timings.messenger_ms / 2,
        wait_ms=timings.s3_get_wait_ms
        + variants * timings.s3_put_wait_ms
        + timings.message_wait_ms,
        gets=1,
        puts=variants,
        sends=1,
        log_lines=1 + len(worker.steps),
    )


def _pixels_ms(worker: Worker, image: Image, timings: Timings) -> float:
    total = timings.open_ms + timings.decode_ms_per_mp * image.megapixels
    for step in worker.steps.values():
        filters = [next(iter(each)) for each in step.get("filters") or ()]
        costs = timings.filter_ms_per_mp
        per_mp = sum(costs.get(name, costs["other"]) for name in filters)
        for variant in (step.get("variants") or {}).values():
            kind = str((variant or {}).get("format", "jpeg"))
            encode = timings.encode_ms_per_mp.get(kind, timings.encode_ms_per_mp["jpeg"])
            total += (encode + per_mp) * variant_pixels(variant or {}, image) / 1e6
        if step.get("exif") or step.get("palette"):
            total += timings.facts_ms
    return total


def _writer(worker: Worker, reports: int, timings: Timings) -> Load:
    return Load(
        worker=worker,
        messages=reports,
        busy_ms=timings.messenger_ms,
        wait_ms=2 * timings.table_wait_ms,
        publishes=1 / max(1, reports),
        table_reads=1,
        table_writes=1,
        log_lines=1,
    )


def _notifier(worker: Worker, timings: Timings) -> Load:
    notices = [kind for kind in worker.settings.notices if kind != "failed"]
    return Load(
        worker=worker,
        messages=len(notices),
        busy_ms=timings.messenger_ms,
        wait_ms=2 * timings.table_wait_ms + timings.message_wait_ms,
        publishes=1,
        table_writes=2,
        log_lines=1,
    )
