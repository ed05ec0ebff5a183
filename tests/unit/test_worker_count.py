"""A worker's count follows the lines of its process, not its metrics, which come once a minute."""

from __future__ import annotations

import json

import pytest

from imgpipe.operate.worker_count import Count

START = {"event": "start", "message_id": "m", "key": "a.jpg"}
FAILED_ROW = {"event": "failed", "key": "a.jpg", "step": "tint", "ms": 3}
FAILED = {"event": "failed", "message_id": "m", "error": "Transient"}
DONE = {"event": "done", "key": "a.jpg", "step": "tint", "ms": 3}
THEIRS = {"event": "skipped", "key": "a.jpg", "why": "another step's"}


def metrics(done: int, failed: int = 0) -> dict[str, object]:
    return {"event": "metrics", "_aws": {}, "Done": done, "Failed": failed}


@pytest.mark.parametrize(
    ("said", "done", "failed", "others"),
    [
        ([START, DONE], 1, 0, 0),
        ([START, DONE, DONE], 1, 0, 0),  # two steps of one image
        ([START, FAILED_ROW, FAILED, START, DONE], 1, 1, 0),
        ([START], 0, 0, 0),  # killed at it
        ([START, START, {"event": "worker stopped"}], 2, 0, 0),
        ([metrics(1), START, DONE, metrics(1)], 1, 0, 1),  # S3's test event came first
        ([START, THEIRS, metrics(1)], 0, 0, 1),
        ([START, DONE, metrics(0)], 1, 0, 0),
    ],
)
def test_images_attempts_and_other_messages(
    said: list[dict[str, object]], done: int, failed: int, others: int
) -> None:
    count = Count()
    for line in said:
        count.hear(json.dumps(line))
    assert (count.done, count.failed, count.others) == (done, failed, others)


@pytest.mark.parametrize("text", ["", "Traceback", "{", "[1]", "{}", '{"event": 3}'])
def test_lines_of_anything_else_are_passed_over(text: str) -> None:
    count = Count()
    count.hear(text)
    assert (count.done, count.failed, count.others) == (0, 0, 0)
