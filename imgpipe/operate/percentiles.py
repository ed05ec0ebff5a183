"""How long things took, in a few figures."""

from __future__ import annotations

import math
from statistics import quantiles
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


def between(values: Sequence[float]) -> tuple[float, float] | None:
    """Return p50 and p95, between the nearest ranks; None where there is nothing. Of few values it is the calmer."""
    if not values:
        return None
    cuts = quantiles(values, n=20, method="inclusive") if len(values) > 1 else [*values] * 19
    return cuts[9], cuts[18]
