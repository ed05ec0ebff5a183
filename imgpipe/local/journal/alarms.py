"""CloudWatch: alarms, their history and dashboards are settings, saved also when an alarm changes by itself.

Of the metrics, those that were put by a request are kept. What the embedded cloud measures itself (`AWS/…`) isn't: it
measures on.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core import persistence
from ministack.services import cloudwatch

from imgpipe.local.journal.settings import Settings
from imgpipe.local.journal.store import Journal

KIND = "metrics"
OURS = "AWS/"


def describe() -> dict[str, Any]:
    """Return CloudWatch's settings: all but the metrics."""
    stores = (
        "alarms",
        "composite_alarms",
        "composite_triggers",
        "alarm_history",
        "dashboards",
        "resource_tags",
    )
    return {name: getattr(cloudwatch, f"_{name}") for name in stores}


def metrics_changed(book: Journal) -> None:
    """Note that metrics were put by a request."""

    def encode() -> str:
        put = type(cloudwatch._metrics)()
        put._data = {
            key: points
            for key, points in cloudwatch._metrics._data.items()
            if not key[2][0].startswith(OURS)
        }
        return json.dumps(put, default=persistence._json_default)

    book.mark(KIND, "put", encode)


def restore(book: Journal) -> None:
    for _, text in book.load(KIND):
        cloudwatch._metrics.update(json.loads(text, object_hook=persistence._json_object_hook))


def install(settings: Settings) -> None:
    stock = cloudwatch._record_history

    def record(*args: Any, **named: Any) -> None:
        stock(*args, **named)
        settings.save("cloudwatch")

    cloudwatch._record_history = record
