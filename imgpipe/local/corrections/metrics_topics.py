"""AWS/SNS: how much is published. Stock ministack doesn't count it.

Left out: deliveries and failures a subscription; what can't be delivered is in its dead-letter
queue, which has metrics."""

from __future__ import annotations

from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.responses import request_scope
from ministack.services import sns

from imgpipe.local.corrections import metrics


def install() -> None:
    """Call it when `sns._fanout` is what it shall be."""
    fan_out = sns._fanout

    def count_and_fan_out(topic_arn: str, *args: Any, **named: Any) -> None:
        spec = parse_arn(topic_arn)
        with request_scope(spec.account_id, spec.region):
            metrics.record(
                "AWS/SNS", "NumberOfMessagesPublished", 1, "Count", {"TopicName": spec.resource}
            )
        fan_out(topic_arn, *args, **named)

    sns._fanout = count_and_fan_out
