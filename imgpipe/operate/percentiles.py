"""How long things took, in three figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def percentiles(values: Sequence[float]) -> Mapping[str, float | None]:
    """Return p50, p95 and p99 by the nearest rank; None where there is nothing."""
    ranked = sorted(values)
    wanted = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    return {
        name: ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else None
        for name, share in wanted.items()
    }
