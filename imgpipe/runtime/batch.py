"""How an invocation answers for its messages.

A queue's messages are acknowledged one by one: the response lists those that failed, and only those
come back (`ReportBatchItemFailures`, which every mapping has on). A direct invocation has no such
response: when its message failed, the invocation raises, so that Lambda tries it again and then
hands it to the function's on-failure queue. In both cases one message's failure never keeps another
from being worked on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imgpipe.runtime.events import Message

Response = dict[str, list[dict[str, str]]]


def run(messages: Sequence[Message], work: Callable[[Message], None]) -> Response:
    """Do `work` for each message; return or raise what Lambda needs to hear."""
    failed: dict[str, Exception] = {}
    for message in messages:
        try:
            work(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must come back and the others go on
            failed[message.id] = error
            log_failure(message, error)
    return answer(messages, failed)


def answer(messages: Sequence[Message], failed: dict[str, Exception]) -> Response:
    """Return the ids of the messages that must come back, or, for a direct invocation, raise the
    first failure.
    """
    if failed and not all(message.queued for message in messages):
        raise next(iter(failed.values()))
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


def log_failure(message: Message, error: Exception, **about: object) -> None:
    log.line(
        "failed",
        **about,
        message_id=message.id,
        receives=message.receives,
        error=type(error).__name__,
        message=log.told(error),
    )
