"""Creating and changing event source mappings: what AWS checks, and the states that it answers.

`event_source_rules` decides; here is what the rules need to know. AWS answers Creating, Updating
and Deleting, and is done soon after; so is the embedded cloud, before the next request.

A function's timeout may not grow past the visibility of a queue that is mapped to it either.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc, sqs

from imgpipe.local.corrections import event_source_rules as rules
from imgpipe.local.corrections import send, wake

if TYPE_CHECKING:
    from imgpipe.local.corrections.event_source_rules import Refusal

Answer = Any
Mapping = dict[str, Any]


def refuse(refusal: Refusal) -> Answer:
    return error_response_json(refusal.code, refusal.message, refusal.status)


def _is_sqs(arn: Any) -> bool:
    return ":sqs:" in str(arn or "")


def _number(value: Any, default: int) -> int:
    return default if value is None else int(value)


def judge(mapping: Mapping, function_name: str, config: dict[str, Any]) -> Refusal | None:
    """Return why AWS would refuse this mapping of a queue, or None."""
    arn = str(mapping["EventSourceArn"])
    queue = sqs._queue_by_arn(arn)
    if queue is None:
        return rules.no_queue()
    if mapping.get("DestinationConfig"):
        return rules.destination()
    timeout = int(config.get("Timeout") or 3)
    return (
        rules.batch(
            _number(mapping.get("BatchSize"), 10),
            _number(mapping.get("MaximumBatchingWindowInSeconds"), 0),
            fifo=bool(queue["is_fifo"]),
        )
        or rules.filters(mapping.get("FilterCriteria"))
        or rules.visibility(int(queue["attributes"].get("VisibilityTimeout") or 30), timeout)
        or _role_refusal(config, arn, queue)
        or _duplicate(mapping, function_name)
    )


def _role_refusal(config: dict[str, Any], arn: str, queue: dict[str, Any]) -> Refusal | None:
    policy = queue["attributes"].get("Policy")
    for action in rules.ROLE_ACTIONS:
        if not send.role_may(config["Role"], f"sqs:{action}", arn, policy):
            return rules.may_not(action)
    return None


def _duplicate(mapping: Mapping, function_name: str) -> Refusal | None:
    arn, qualifier = mapping["EventSourceArn"], mapping.get("Qualifier")
    for other in lambda_svc._esms.values():
        same = (other["EventSourceArn"], other["FunctionName"], other.get("Qualifier"))
        if same == (arn, function_name, qualifier) and other["UUID"] != mapping.get("UUID"):
            return rules.duplicate(arn, function_name, other["UUID"])
    return None


def _create(data: dict[str, Any]) -> Answer:
    name, qualifier = lambda_svc._resolve_request_scoped_name_and_qualifier(
        data.get("FunctionName", "")
    )
    _, config = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    if config is not None and _is_sqs(data.get("EventSourceArn")):
        refusal = judge({**data, "Qualifier": qualifier}, name, config)
        if refusal is not None:
            return refuse(refusal)
    return _ringing(_with_state(_stock_create(data), "Creating"))


def _update(uuid: str, data: dict[str, Any]) -> Answer:
    mapping = lambda_svc._esms.get(uuid)
    if mapping is not None and _is_sqs(mapping["EventSourceArn"]):
        refusal = _judge_update(mapping, data)
        if refusal is not None:
            return refuse(refusal)
        if data.get("ScalingConfig") == {}:
            mapping.pop("ScalingConfig", None)
            data = {key: value for key, value in data.items() if key != "ScalingConfig"}
    return _ringing(_with_state(_stock_update(uuid, data), "Updating", status=202))


def _judge_update(mapping: Mapping, data: dict[str, Any]) -> Refusal | None:
    name, qualifier = mapping["FunctionName"], mapping.get("Qualifier")
    if "FunctionName" in data:
        name, qualifier = lambda_svc._resolve_request_scoped_name_and_qualifier(
            data["FunctionName"]
        )
    _, config = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    if config is None:
        return None  # stock ministack answers that the function is missing
    return judge({**mapping, **data, "Qualifier": qualifier}, name, config)


def _delete(uuid: str) -> Answer:
    return _with_state(_stock_delete(uuid), "Deleting")


def _with_state(answer: Answer, state: str, status: int | None = None) -> Answer:
    code, headers, body = answer[:3]
    if code >= 300:
        return answer
    document = {**json.loads(body), "State": state}
    return status or code, headers, json.dumps(document).encode()


def _ringing(answer: Answer) -> Answer:
    wake.ring()
    return answer


def _update_function(name: str, data: dict[str, Any]) -> Answer:
    if "Timeout" in data:
        for mapping in lambda_svc._esms.values():
            refusal = _judge_timeout(mapping, name, int(data["Timeout"]))
            if refusal is not None:
                return refuse(refusal)
    return _stock_update_function(name, data)


def _judge_timeout(mapping: Mapping, name: str, timeout_s: int) -> Refusal | None:
    if mapping["FunctionName"] != name or not _is_sqs(mapping["EventSourceArn"]):
        return None
    queue = sqs._queue_by_arn(mapping["EventSourceArn"])
    if queue is None:
        return None
    return rules.visibility(int(queue["attributes"].get("VisibilityTimeout") or 30), timeout_s)


_stock_create = lambda_svc._create_esm
_stock_update = lambda_svc._update_esm
_stock_delete = lambda_svc._delete_esm
_stock_update_function = lambda_svc._update_config


def install() -> None:
    lambda_svc._create_esm = _create
    lambda_svc._update_esm = _update
    lambda_svc._delete_esm = _delete
    lambda_svc._update_config = _update_function
