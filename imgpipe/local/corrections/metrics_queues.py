"""AWS/SQS: how deep each queue is and how old its oldest message, looked at every two seconds.

Stock ministack has none of it. AWS's rules: a queue that nobody uses gives no numbers at all; a
message that was received more than three times doesn't count for the age; in a dead-letter queue
the age counts from the move.

On AWS a queue is silent after six hours without use; here after ten minutes, since silence costs
nothing then."""

from __future__ import annotations

import time
from typing import Any

from ministack.services import sqs

from imgpipe.local.corrections import metrics
from imgpipe.local.corrections.sqs_messages import is_visible

ACTIVE_S = 600.0
POISON_RECEIVES = 3

_last_used: dict[str, float] = {}


def sample(now: float) -> None:
    """Measure every queue that is in use."""
    queues = sqs._queues.all_values()
    known = {queue["attributes"]["QueueArn"] for queue in queues}
    for arn in [arn for arn in _last_used if arn not in known]:
        del _last_used[arn]
    for queue in queues:
        arn = queue["attributes"]["QueueArn"]
        if queue["messages"]:
            _last_used[arn] = now
        if now - _last_used.get(arn, 0.0) < ACTIVE_S:
            for name, value in depths(queue["messages"], now).items():
                unit = "Seconds" if name == "ApproximateAgeOfOldestMessage" else "Count"
                metrics.record_for_queue(queue, name, value, unit)


def depths(messages: list[dict[str, Any]], now: float) -> dict[str, float]:
    """Return the metrics of a queue with these messages."""
    visible = delayed = 0
    oldest = now
    for message in messages:
        receives = message.get("receive_count", 0)
        if is_visible(message, now):
            visible += 1
        elif not receives:
            delayed += 1
        if "buried_at" in message:
            oldest = min(oldest, message["buried_at"])
        elif receives <= POISON_RECEIVES:
            oldest = min(oldest, message.get("sent_at", now))
    return {
        "ApproximateNumberOfMessagesVisible": visible,
        "ApproximateNumberOfMessagesNotVisible": len(messages) - visible - delayed,
        "ApproximateNumberOfMessagesDelayed": delayed,
        "ApproximateAgeOfOldestMessage": max(0.0, now - oldest),
    }


def sample_now() -> None:
    sample(time.time())
