"""Batch calls are allowed by the action of the single call, as on AWS: there is no `sqs:SendMessageBatch`.

Stock ministack takes the operation's name for the action, so a role with exactly the rights that AWS asks for is
refused here. Source of the names: the Service Authorization Reference for Amazon SQS and Amazon SNS.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions

ACTION_OF_BATCH = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}

_stock_extract = iam_actions.extract_iam_action


def extract(*args: Any, **kwargs: Any) -> str | None:
    action: str | None = _stock_extract(*args, **kwargs)
    return ACTION_OF_BATCH.get(action, action) if action else None


def install() -> None:
    iam_actions.extract_iam_action = extract
