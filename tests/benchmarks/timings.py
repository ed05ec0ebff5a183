"""What `imgpipe/operate/forecast/timings.yaml` says of the image core, measured: `python -m tests.benchmarks.timings`.

Processor time and not the clock's, the least of a few turns, so that other work on the machine tells little. Each
figure is the difference that one thing makes: a format, a filter, the facts; decoding and opening are fitted to the
photographs.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

from PIL import Image

from imgpipe.runtime import image
from imgpipe.runtime.image import resampling
from imgpipe.runtime.settings import Limits
from tests.benchmarks.core.engines.ours import SIMD
from tests.benchmarks.core.subjects import jpegs

TURNS = 3
TINY = {"t": {"width": 16, "height": 16}}
WIDE = 1600
FILTERS: dict[str, Any] = {
    "autocontrast": None, "sharpen": 1.2, "tint": "#ffdc96", "saturation": 1.2,
}  # fmt: skip


@dataclass(frozen=True)
class Photo:
    data: bytes
    megapixels: float

    def variant_mp(self, width: int) -> float:
        with Image.open(io.BytesIO(self.data)) as opened:
            scale = min(1.0, width / opened.width)
            return opened.width * opened.height * scale**2 / 1e6


def cpu_ms(photo: Photo, step: dict[str, Any]) -> float:
    """Return the least processor time of a few turns."""
    found = []
    for _ in range(TURNS):
        began = time.process_time()
        image.make(photo.data, {"x": step}, Limits())
        found.append((time.process_time() - began) * 1000)
    return min(found)


def line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return slope and intercept of the least squares' line."""
    fitted = statistics.linear_regression(*zip(*points, strict=True))
    return fitted.slope, fitted.intercept


def main() -> None:
    photos = []
    for path in jpegs(quick="--quick" in sys.argv):
        with Image.open(path) as opened:
            photos.append(Photo(path.read_bytes(), opened.width * opened.height / 1e6))
    image.make(photos[0].data, {"x": {"variants": TINY}}, Limits())
    resampling._resizer = SIMD
    base = [cpu_ms(it, {"variants": TINY}) for it in photos]
    slope, start = line([(it.megapixels, ms) for it, ms in zip(photos, base, strict=True)])
    print(f"photographs: {len(photos)}, {min(it.megapixels for it in photos):.1f} to "
          f"{max(it.megapixels for it in photos):.1f} MP")  # fmt: skip
    print(f"open_ms: {start:.1f}\ndecode_ms_per_mp: {slope:.2f}")

    def more(step: dict[str, Any], than: list[float], width: int = WIDE) -> float:
        each = [
            (cpu_ms(it, step) - before) / it.variant_mp(width)
            for it, before in zip(photos, than, strict=True)
        ]
        return statistics.median(each)

    facts = [cpu_ms(it, {"exif": True, "palette": 5, "variants": TINY}) for it in photos]
    print(f"facts_ms: {statistics.median(a - b for a, b in zip(facts, base, strict=True)):.1f}")
    for kind in ("jpeg", "webp", "png"):
        step = {"variants": {"v": {"width": WIDE, "format": kind}}}
        print(f"encode_ms_per_mp.{kind}: {more(step, base):.1f}", flush=True)
    wide = {"variants": {"v": {"width": WIDE}}}
    plain = [cpu_ms(it, wide) for it in photos]
    for name, value in FILTERS.items():
        step = {"filters": [{name: value}], **wide}
        print(f"filter_ms_per_mp.{name}: {more(step, plain):.1f}", flush=True)
    three = {"variants": {str(width): {"width": width} for width in (1600, 800, 200)}}
    quick = [cpu_ms(it, three) for it in photos]
    resampling._resizer = None
    slow = [cpu_ms(it, three) for it in photos]
    ratios = [b / a for a, b in zip(quick, slow, strict=True)]
    print(f"arm64_factor: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
