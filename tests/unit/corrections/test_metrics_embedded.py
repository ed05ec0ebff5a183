"""Which numbers a line of a log adds to which metrics."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imgpipe.local.corrections.metrics_embedded import Measured, measured


def line(directive: dict[str, Any], **values: Any) -> str:
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, **values})


DIRECTIVE = {
    "Namespace": "app",
    "Dimensions": [["Function"], []],
    "Metrics": [{"Name": "Failed", "Unit": "Count"}, {"Name": "Size"}],
}


def test_each_metric_counts_once_for_each_set_of_dimensions() -> None:
    assert measured(line(DIRECTIVE, Function="thumbs", Failed=2, Size=[1, 3])) == [
        Measured("app", "Failed", 2.0, "Count", {"Function": "thumbs"}),
        Measured("app", "Size", 1.0, "None", {"Function": "thumbs"}),
        Measured("app", "Size", 3.0, "None", {"Function": "thumbs"}),
        Measured("app", "Failed", 2.0, "Count", {}),
        Measured("app", "Size", 1.0, "None", {}),
        Measured("app", "Size", 3.0, "None", {}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        '{"_aws" is not JSON',
        '{"_aws": 3}',
        '["_aws"]',
        '{"_aws": {}}',
        line(DIRECTIVE, Function="thumbs", Failed="many", Size=1),
        line(DIRECTIVE, Failed=1, Size=1),
    ],
)
def test_what_is_not_well_formed_is_just_a_line(text: str) -> None:
    assert measured(text) == []
