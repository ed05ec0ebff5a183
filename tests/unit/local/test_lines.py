"""Lambda's own words, as AWS writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imgpipe.local.lambda_runtime import lines
from imgpipe.local.lambda_runtime.function import Function

THUMBS = Function(
    name="thumbs",
    arn="arn:aws:lambda:us-east-1:000000000000:function:thumbs",
    version="$LATEST",
    handler="handler.handler",
    runtime="python3.13",
    timeout_s=3,
    memory_mb=128,
    role="arn:aws:iam::000000000000:role/r",
    account="000000000000",
    region="us-east-1",
    log_group="/aws/lambda/thumbs",
    code=Path("/code"),
)


def test_a_report_reads_as_on_aws() -> None:
    measured = lines.Measured(duration_ms=12.345, init_ms=0.0, memory_mb=70)

    assert lines.report("id", THUMBS, measured) == (
        "REPORT RequestId: id\tDuration: 12.35 ms\tBilled Duration: 13 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 70 MB"
    )


@pytest.mark.parametrize(
    ("error_type", "ending"),
    [
        ("", "Init Duration: 99.00 ms"),
        ("ValueError", "Init Duration: 99.00 ms"),
        (lines.TIMED_OUT, "Init Duration: 99.00 ms\tStatus: timeout"),
        (lines.EXIT_ERROR, "ms\tStatus: error\tError Type: Runtime.ExitError"),
    ],
)
def test_a_report_says_how_a_killed_function_ended(error_type: str, ending: str) -> None:
    measured = lines.Measured(duration_ms=1, init_ms=99, memory_mb=1, error_type=error_type)
    assert lines.report("id", THUMBS, measured).endswith(ending)


def test_a_timeout_is_dated_and_names_the_request() -> None:
    noon = datetime(2026, 1, 2, 12, 0, 0, 345_000, tzinfo=UTC)
    assert lines.timeout_line("id", 3, noon) == (
        "2026-01-02T12:00:00.345Z id Task timed out after 3.00 seconds"
    )
    assert json.loads(lines.timed_out("id", 3)) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: id Error: Task timed out after 3.00 seconds",
    }


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (0, "Runtime exited without providing a reason"),
        (1, "Runtime exited with error: exit status 1"),
        (-9, "Runtime exited with error: signal: killed"),
        (-11, "Runtime exited with error: signal: segmentation fault"),
        (-50, "Runtime exited with error: signal: 50"),
    ],
)
def test_an_exit_is_told_with_its_cause(status: int, why: str) -> None:
    assert json.loads(lines.exited("id", status)) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: id Error: {why}",
    }
