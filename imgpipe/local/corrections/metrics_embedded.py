"""Metrics that a function writes into its log: CloudWatch's embedded metric format.

Stock ministack keeps such a line as any other. Here, as on AWS, the numbers that it describes are
added to their metrics as it comes in. What isn't well-formed is just a line.

Left out: the limits on how many metrics and dimensions a line may have, and its own timestamp."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from imgpipe.local.corrections import metrics


class Measured(NamedTuple):
    namespace: str
    name: str
    value: float
    unit: str
    dimensions: dict[str, str]


def count(lines: Iterable[str]) -> None:
    """Add what the lines measure to their metrics."""
    for line in lines:
        for each in measured(line):
            metrics.record(*each)


def measured(line: str) -> list[Measured]:
    """Return what a line measures; nothing for a line that isn't in the format."""
    if '"_aws"' not in line:
        return []
    try:
        document = json.loads(line)
        return list(_described(document))
    except (ValueError, LookupError, TypeError, AttributeError):
        return []


def _described(document: Mapping[str, Any]) -> Iterator[Measured]:
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    unit = str(metric.get("Unit") or "None")
                    name = str(metric["Name"])
                    yield Measured(directive["Namespace"], name, float(value), unit, dimensions)
