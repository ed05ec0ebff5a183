"""One attempt at an asynchronous invocation, what comes of it, and who is told.

AWS's rules: two more attempts unless the function's event-invoke configuration says otherwise; a throttle is no attempt
and is retried until the event is too old; success goes to OnSuccess, exhaustion and old age to OnFailure and to the
function's own dead-letter queue. A destination gets the record of the invocation; a dead-letter queue the bare event
with the error in its attributes. Both are written with the rights of the function's role, and what the role may not
do is logged and dropped, as AWS drops it.
"""

from __future__ import annotations

import contextvars
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ministack.core.arn import parse_arn
from ministack.core.responses import new_uuid, request_scope
from ministack.services import cloudwatch, eventbridge, lambda_svc, s3, sns

from imgpipe.local.corrections import send

log = logging.getLogger("async")

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded", "Gone"]

DEFAULT_RETRIES = 2
DEFAULT_AGE_S = 21_600
UNRESERVED_CONCURRENCY = 1_000


@dataclass(slots=True, kw_only=True)
class Invocation:
    """An accepted event. `function` is the ARN that it was sent to, with a qualifier if one was named."""

    id: str
    function: str
    event: Any
    accepted: float
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to. `payload` is what the function returned, or its error document."""

    error: bool = False
    throttled: bool = False
    gone: bool = False
    payload: Any = None
    function_error: str | None = None


def concurrency(function: str) -> int:
    """Return how many events of the function may run at once; one at least, so that a throttle shows itself."""
    try:
        record, config = send.function_of(function)
    except send.RefusedError:
        return 1
    reserved = lambda_svc._reserved_concurrency(record, config)
    return UNRESERVED_CONCURRENCY if reserved is None else max(1, int(reserved))


def run(invocation: Invocation, _attempts: int) -> Outcome:
    """Run the function once, as it is now."""
    try:
        record, config = send.function_of(invocation.function)
    except send.RefusedError:
        return Outcome(error=True, gone=True)
    spec = parse_arn(invocation.function)

    def execute() -> Outcome:
        lambda_svc._invoke_depth.set(invocation.depth)
        with request_scope(spec.account_id, spec.region):
            return _execute(record, config, invocation)

    return contextvars.Context().run(execute)


def _execute(record: Any, config: Any, invocation: Invocation) -> Outcome:
    exact = lambda_svc._execution_record_for_config(
        record, {**config, "FunctionArn": invocation.function}
    )
    slot, _ = lambda_svc._acquire_execution_slot(exact, exact["config"])
    if slot is None:
        lambda_svc._emit_lambda_metrics(
            config["FunctionName"], duration_ms=0.0, error=False, throttle=True
        )
        return Outcome(error=True, throttled=True)
    try:
        result = lambda_svc._execute_function_dispatch(
            exact, exact["config"], invocation.event, invocation.id, time.time()
        )
    finally:
        lambda_svc._release_execution_slot(slot)
    failed = bool(result.get("error"))
    return Outcome(
        error=failed,
        throttled=bool(result.get("throttle")),
        payload=_document(result.get("body")),
        function_error=(result.get("function_error") or "Unhandled") if failed else None,
    )


def _document(body: Any) -> Any:
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            return json.loads(body)
        except ValueError:
            return body
    return body


def verdict(
    invocation: Invocation, outcome: Outcome, attempts: int, next_at: float
) -> Condition | None:
    """Return how the invocation ended, or None when it is to be tried again at `next_at`."""
    if not outcome.error:
        return "Success"
    if outcome.gone:
        return "Gone"
    settings = _settings(invocation.function)
    retries = settings.get("MaximumRetryAttempts")
    if not outcome.throttled and attempts > (DEFAULT_RETRIES if retries is None else int(retries)):
        return "RetriesExhausted"
    age = int(settings.get("MaximumEventAgeInSeconds") or DEFAULT_AGE_S)
    return "EventAgeExceeded" if next_at - invocation.accepted > age else None


def _settings(function: str) -> dict[str, Any]:
    spec = parse_arn(function)
    _, name, *qualifier = spec.resource.split(":")
    base = lambda_svc._functions.get_scoped(spec.account_id, spec.region, name) or {}
    return dict(lambda_svc._event_invoke_config(base, qualifier[0] if qualifier else None) or {})


def conclude(invocation: Invocation, outcome: Outcome, attempts: int, condition: Condition) -> None:
    """Tell the destinations."""
    if condition == "Gone":
        log.error("invocation %s: the function %s is gone", invocation.id, invocation.function)
        return
    _, config = send.function_of(invocation.function)
    destinations = _settings(invocation.function).get("DestinationConfig") or {}
    side = "OnSuccess" if condition == "Success" else "OnFailure"
    target = (destinations.get(side) or {}).get("Destination")
    spec = parse_arn(invocation.function)
    with request_scope(spec.account_id, spec.region):
        if target:
            record = destination_record(invocation, outcome, attempts, condition)
            _tell(config, target, lambda: _to_destination(config, target, record))
        dead_letters = (config.get("DeadLetterConfig") or {}).get("TargetArn")
        if dead_letters and condition != "Success":
            _tell(
                config,
                dead_letters,
                lambda: _to_dead_letters(config, dead_letters, invocation, outcome),
            )


def destination_record(
    invocation: Invocation, outcome: Outcome, attempts: int, condition: Condition
) -> dict[str, Any]:
    """Return the document that AWS sends to a destination."""
    qualified = invocation.function.count(":") > 6
    version = invocation.function.rsplit(":", 1)[-1] if qualified else "$LATEST"
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": invocation.id,
            "functionArn": invocation.function if qualified else f"{invocation.function}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": invocation.event,
    }
    if attempts:
        error = {"functionError": outcome.function_error} if outcome.function_error else {}
        record["responseContext"] = {"statusCode": 200, "executedVersion": version, **error}
        record["responsePayload"] = outcome.payload
    return record


def _tell(config: Any, target: str, write: Callable[[], None]) -> None:
    try:
        write()
    except send.RefusedError as error:
        name = config["FunctionName"]
        log.error("%s can't tell %s: %s", name, target, error.message)  # noqa: TRY400 - a refusal has no traceback
        cloudwatch.record_metric(
            "AWS/Lambda", "DestinationDeliveryFailures", 1, "Count", {"FunctionName": name}
        )


def _require(config: Any, action: str, arn: str, policy: Any = None) -> None:
    if not send.role_may(config["Role"], action, arn, policy):
        raise send.RefusedError(403, f"{config['Role']} may not {action} on {arn}")


def _to_destination(config: Any, arn: str, record: dict[str, Any]) -> None:
    match parse_arn(arn).service:
        case "sqs":
            _to_queue(config, arn, json.dumps(record))
        case "sns":
            _to_topic(config, arn, json.dumps(record))
        case "lambda":
            _require(config, "lambda:InvokeFunction", arn)
            function, found = send.function_of(arn)
            lambda_svc.invoke_async_with_retry(
                lambda_svc._execution_record_for_config(function, found), record
            )
        case "events":
            _to_bus(config, arn, record)
        case "s3":
            _to_bucket(config, arn, record)
        case service:
            raise send.RefusedError(400, f"{service} is no destination")


def _to_queue(config: Any, arn: str, body: str, attributes: send.Attributes | None = None) -> None:
    queue = send.queue_of(arn)
    _require(config, "sqs:SendMessage", arn, queue["attributes"].get("Policy"))
    send.put_message(queue, body, attributes)


def _to_topic(config: Any, arn: str, body: str, attributes: send.Attributes | None = None) -> None:
    topic = sns._topic_by_arn_any_scope(arn)
    if topic is None:
        raise send.RefusedError(404, f"The topic {arn} does not exist")
    _require(config, "sns:Publish", arn, topic["attributes"].get("Policy"))
    sns._fanout(arn, new_uuid(), body, "", "", attributes)


def _to_bus(config: Any, arn: str, record: dict[str, Any]) -> None:
    _require(config, "events:PutEvents", arn)
    spec = parse_arn(arn)
    ending = "Success" if record["requestContext"]["condition"] == "Success" else "Failure"
    eventbridge._dispatch_event(
        {
            "EventId": new_uuid(),
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {ending}",
            "Detail": json.dumps(record),
            "EventBusName": spec.resource.rsplit("/", 1)[-1],
            "Time": record["timestamp"],
            "Resources": [arn, record["requestContext"]["functionArn"]],
            "Account": spec.account_id,
            "Region": spec.region,
        }
    )


def _to_bucket(config: Any, arn: str, record: dict[str, Any]) -> None:
    day = datetime.now(UTC)
    key = f"aws/lambda/async/{config['FunctionName']}/{day:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{new_uuid()}"
    _require(config, "s3:PutObject", f"{arn}/{key}")
    s3._put_object(
        arn.rsplit(":", 1)[-1],
        key,
        json.dumps(record).encode(),
        {"content-type": "application/json"},
    )


def _to_dead_letters(config: Any, arn: str, invocation: Invocation, outcome: Outcome) -> None:
    said = (
        outcome.payload.get("errorMessage")
        if isinstance(outcome.payload, dict)
        else outcome.payload
    )
    attributes = send.failure_attributes(
        200, str(said or outcome.function_error or ""), invocation.id
    )
    write = _to_queue if parse_arn(arn).service == "sqs" else _to_topic
    write(config, arn, json.dumps(invocation.event), attributes)
