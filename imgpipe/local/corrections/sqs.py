"""SQS's corrections: messages in place, what is refused, and message move tasks."""

from __future__ import annotations

from imgpipe.local.corrections import sqs_messages, sqs_moves, sqs_requests, sqs_rules


def install() -> None:
    sqs_messages.install()
    sqs_requests.install()
    sqs_rules.install()
    sqs_moves.install()
