"""What one service sends to another: permission first, then the write.

S3 announces an upload to a topic, a topic fans out to queues and functions, an asynchronous
invocation ends in a destination. Each asks the target's own policy, as AWS does, and each learns
why it was refused: a refusal is what goes to a dead-letter queue. Nothing here answers later: when
a function returns, its effect is in memory and marked, so it reaches the disk in the same
transaction as its cause.

Left out: encryption keys. The embedded cloud stores what it is given.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.concurrency import esm_wake
from ministack.core.iam_evaluator import (
    EvalContext,
    _gather_role_policies,
    combine_resource_policy,
    evaluate,
    evaluate_resource_policy,
)
from ministack.core.responses import get_region, new_uuid, request_scope
from ministack.services import lambda_svc, sns, sqs

from imgpipe.local.corrections import metrics

Attributes = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The AWS service that sends, and the resource that it sends for: `s3.amazonaws.com` and a
    bucket's ARN.
    """

    service: str
    source: str
    account: str


class RefusedError(Exception):
    """The target doesn't exist or doesn't let the sender in. `code` is the HTTP status that AWS
    would record.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def attributes(self) -> Attributes:
        """Return what a dead letter says about its cause."""
        return failure_attributes(self.code, self.message)


def failure_attributes(code: int, message: str, request_id: str | None = None) -> Attributes:
    return {
        "RequestID": {"DataType": "String", "StringValue": request_id or new_uuid()},
        "ErrorCode": {"DataType": "Number", "StringValue": str(code)},
        "ErrorMessage": {"DataType": "String", "StringValue": message[:1024] or "-"},
    }


def service_may(policy: Any, sender: Sender, action: str, arn: str) -> bool:
    """Return whether a resource's policy lets the service in. Without authorisation everything
    passes.
    """
    if not app.AUTH:
        return True
    context = EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=arn,
        region=get_region(),
        secure_transport=True,
        service_context={
            "aws:sourcearn": sender.source,
            "aws:sourceaccount": sender.account,
            "aws:sourceowner": sender.account,
        },
    )
    return bool(
        evaluate_resource_policy(policy, context, service=sender.service).decision == "Allow"
    )


def role_may(role_arn: str, action: str, arn: str, policy: Any = None) -> bool:
    """Return whether a role's policies, together with the resource's own, allow the action."""
    if not app.AUTH:
        return True
    account, name = parse_arn(role_arn).account_id, role_arn.rsplit("/", 1)[-1]
    context = EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/async",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=arn,
        region=get_region(),
        secure_transport=True,
    )
    result = evaluate(context, _gather_role_policies(name, account))
    if policy:
        result = combine_resource_policy(result, context, policy, parse_arn(arn).account_id)
    return bool(result.decision == "Allow")


def queue_of(arn: str) -> Any:
    """Return the queue's record; RefusedError when there is none."""
    queue = sqs._queue_by_arn(arn)
    if queue is None:
        raise RefusedError(404, f"The queue {arn} does not exist")
    return queue


def to_queue(
    sender: Sender, arn: str, body: str, attributes: Attributes | None = None, **fields: str
) -> None:
    """Put a message on the queue if its policy lets the sender in; RefusedError if not."""
    queue = queue_of(arn)
    if not service_may(queue["attributes"].get("Policy"), sender, "sqs:SendMessage", arn):
        raise RefusedError(
            403, f"The policy of {arn} does not let {sender.service} send for {sender.source}"
        )
    put_message(queue, body, attributes, **fields)


def put_message(queue: Any, body: str, attributes: Attributes | None = None, **fields: str) -> None:
    """Append a message without asking anyone. `fields` are a FIFO message's group_id and
    dedup_id.
    """
    now = time.time()
    message: dict[str, Any] = {
        "id": new_uuid(),
        "body": body,
        "md5_body": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "message_attributes": attributes or {},
        "md5_attrs": sqs._md5_msg_attrs(attributes),
        "sent_at": now,
        "visible_at": now + sqs.queue_delay(queue),
        **{name: value for name, value in fields.items() if value},
    }
    sqs._ensure_msg_fields(message)
    queue["messages"].append(message)
    metrics.count_sent(queue)
    esm_wake.set()


def function_of(arn: str) -> tuple[Any, Any]:
    """Return the function's record and configuration, in its owner's scope; RefusedError when
    there is none.
    """
    try:
        spec = parse_arn(arn)
    except ArnParseError as error:
        raise RefusedError(404, f"{arn} is not the ARN of a function") from error
    with request_scope(spec.account_id, spec.region):
        record, config, _ = lambda_svc._get_func_record_for_ref(arn)
    if not record or not config:
        raise RefusedError(404, f"The function {arn} does not exist")
    return record, config


def function_lets_in(arn: str, sender: Sender) -> bool:
    """Return whether the function's policy lets the service invoke it."""
    spec = parse_arn(arn)
    name = spec.resource.split(":")[1]
    base = lambda_svc._functions.get_scoped(spec.account_id, spec.region, name) or {}
    return service_may(base.get("policy"), sender, "lambda:InvokeFunction", arn)


def to_function(sender: Sender, arn: str, event: Any) -> None:
    """Accept an asynchronous invocation if the function's policy lets the sender in; RefusedError
    if not.
    """
    record, config = function_of(arn)
    if not function_lets_in(arn, sender):
        raise RefusedError(
            403, f"The policy of {arn} does not let {sender.service} invoke it for {sender.source}"
        )
    exact = lambda_svc._execution_record_for_config(record, {**config, "FunctionArn": arn})
    lambda_svc.invoke_async_with_retry(exact, event)


def to_topic(sender: Sender, arn: str, message: str, subject: str) -> None:
    """Publish to the topic if its policy lets the sender in; RefusedError if not."""
    topic = sns._topic_by_arn_any_scope(arn)
    if topic is None:
        raise RefusedError(404, f"The topic {arn} does not exist")
    if not service_may(topic["attributes"].get("Policy"), sender, "sns:Publish", arn):
        raise RefusedError(
            403, f"The policy of {arn} does not let {sender.service} publish for {sender.source}"
        )
    sns._fanout(arn, new_uuid(), message, subject)
