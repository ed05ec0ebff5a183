"""What an engine is asked to make of a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SIZES = (1600, 800, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Variants that fit in squares of `sizes` pixels, never enlarged, upright, without metadata."""

    sizes: tuple[int, ...] = SIZES
    format: str = "jpeg"
    quality: int = 80
    method: int = 4  # WebP's effort

    def told(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Job:
        return cls(**{**told, "sizes": tuple(told["sizes"])})


def inside(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size at which a picture fits in a square of `side`, not enlarged."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
