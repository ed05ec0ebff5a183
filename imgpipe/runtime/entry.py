"""Where Lambda enters every function: the folder's own `handler.handler`, and a pause before each retry.

Left alone, SQS gives a failed message back when its visibility runs out, which is six timeouts: five attempts of a
function with 60 seconds take half an hour before anybody hears of it. So a failed message is given back after
`backoff_s`, then three times as long, and so on (`pause_s`): a passing trouble is waited out, a lasting one reaches the
dead-letter queue in minutes. That includes a handler that can't be imported or that raises before it looks at its
messages; then the reason goes to the images' rows as well. A function that was killed can't say anything: its messages
come back when their visibility ends.

An invocation that gives messages back is no error in Lambda's own count. So the messages are counted here (`FAILED`),
for `imgpipe status`; only when there are some, as a metric costs money for each hour in which it is written.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from imgpipe.runtime import events, log
from imgpipe.runtime.settings import Settings, from_environment
from imgpipe.runtime.store import Store, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imgpipe.runtime.events import Message

LONGEST_PAUSE_S = 900
FAILED = "FailedAttempts"
"""The metric of messages that a function gave back to their queue while it went on itself."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any] | None:
    """Serve one invocation with the function's own handler."""
    return serve(event, context, lambda: importlib.import_module("handler").handler)


def serve(
    event: dict[str, Any],
    context: Any,
    load: Callable[[], Callable[[dict[str, Any], Any], dict[str, Any] | None]],
    *,
    store: Store | None = None,
    settings: Settings | None = None,
) -> dict[str, Any] | None:
    """Call the handler that `load` returns; give back what failed. Raises what the handler raises."""
    log.serving(_request_id(context))
    try:
        answer = load()(event, context)
    except Exception as error:
        _whole_batch(event, context, error, store or shared(), settings or from_environment())
        raise
    failed = {each.get("itemIdentifier") for each in (answer or {}).get("batchItemFailures") or ()}
    if failed:
        log.count("given back", FAILED, len(failed), os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
        used, told = store or shared(), settings or from_environment()
        heard = events.messages(event, _request_id(context))
        _give_back([message for message in heard if message.id in failed], used, told)
    return answer


def pause_s(backoff_s: int, receives: int, max_receives: int) -> int:
    """Return how long a message stays hidden after its failed attempt number `receives`.

    After the last one it is 0: the queue moves it to the dead-letter queue when it is asked for again.
    """
    if receives >= max_receives:
        return 0
    return int(min(LONGEST_PAUSE_S, backoff_s * 3 ** (receives - 1)))


def _whole_batch(
    event: Mapping[str, Any], context: Any, error: Exception, store: Store, settings: Settings
) -> None:
    queued = [each for each in events.messages(dict(event), _request_id(context)) if each.queued]
    if not queued:
        return
    log.line("broken", error=type(error).__name__, message=log.told(error), messages=len(queued))
    if settings.steps:
        from imgpipe.runtime import steps

        steps.report_broken(queued, error, store, settings, _request_id(context))
    _give_back(queued, store, settings)


def _give_back(messages: Sequence[Message], store: Store, settings: Settings) -> None:
    pauses = {
        message.receipt: pause_s(settings.backoff_s, message.receives, settings.max_receives)
        for message in messages
        if message.receipt
    }
    if settings.queue_url and pauses:
        store.hide(settings.queue_url, pauses)


def _request_id(context: Any) -> str:
    return str(getattr(context, "aws_request_id", ""))
