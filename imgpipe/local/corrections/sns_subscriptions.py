"""Subscriptions as AWS keeps them: pending addresses, idempotent Subscribe, attributes that are checked when set.

Left out: the three days after which AWS forgets an unconfirmed subscription.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import request_scope
from ministack.services import sns

from imgpipe.local import journal
from imgpipe.local.corrections import sns_email, sns_filters

Params = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

_ERROR_CODES = {
    "InvalidParameterException": "InvalidParameter",
    "InvalidParameterValueException": "ParameterValueInvalid",
    "ResourceNotFoundException": "ResourceNotFound",
}
"""What AWS puts on the wire for the exceptions of the SDK's model."""

_SETTABLE = frozenset(
    {
        "DeliveryPolicy",
        "FilterPolicy",
        "FilterPolicyScope",
        "RawMessageDelivery",
        "RedrivePolicy",
        "SubscriptionRoleArn",
    }
)

_stock_error = sns._error
_stock_subscribe = sns._subscribe
_stock_confirm = sns._confirm_subscription
_stock_unsubscribe = sns._unsubscribe
_stock_set_attributes = sns._set_subscription_attributes
_stock_get_attributes = sns._get_subscription_attributes
_stock_create_topic = sns._create_topic
_stock_publish = sns._publish

MAX_SUBJECT = 100


def _error(code: str, message: str, status: int) -> Response:
    response: Response = _stock_error(_ERROR_CODES.get(code, code), message, status)
    return response


def _invalid(message: str) -> Response:
    return _error("InvalidParameter", f"Invalid parameter: {message}", 400)


def _answer(action: str, arn: str) -> Response:
    inner = f"<{action}Result><SubscriptionArn>{arn}</SubscriptionArn></{action}Result>"
    response: Response = sns._xml(200, f"{action}Response", inner)
    return response


def _given(params: Params) -> dict[str, str]:
    given: dict[str, str] = {}
    number = 1
    while key := sns._p(params, f"Attributes.entry.{number}.key"):
        given[key] = sns._p(params, f"Attributes.entry.{number}.value") or ""
        number += 1
    return given


def attribute_problem(name: str, value: str) -> str | None:
    """Return why AWS refuses the value of a subscription's attribute, or None. An empty value clears it."""
    if not value:
        return None
    if name == "FilterPolicy":
        return sns_filters.policy_problem(value)
    if name == "FilterPolicyScope" and value not in {"MessageAttributes", "MessageBody"}:
        return f"FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
    if name == "RawMessageDelivery" and value.lower() not in {"true", "false"}:
        return "RawMessageDelivery: Must be either true or false"
    if name == "RedrivePolicy":
        return _redrive_problem(value)
    return None


def _redrive_problem(value: str) -> str | None:
    try:
        policy = json.loads(value)
        target = policy.get("deadLetterTargetArn", "") if policy else None
    except (ValueError, AttributeError):
        return "RedrivePolicy: failed to parse JSON."
    if target is None:
        return None
    try:
        service = parse_arn(target).service
    except ArnParseError:
        service = ""
    return None if service == "sqs" else "RedrivePolicy: deadLetterTargetArn is an invalid arn"


def _subscribe(params: Params) -> Response:
    topic, error = sns._get_topic(sns._p(params, "TopicArn"), "sns:Subscribe")
    if error is not None:
        return error  # type: ignore[no-any-return]
    given = _given(params)
    for name, value in given.items():
        if name not in _SETTABLE:
            return _invalid("Attributes Reason: Unknown attribute " + name)
        if problem := attribute_problem(name, value):
            return _invalid(f"Attributes Reason: {problem}")
    existing = _find(topic, sns._p(params, "Protocol"), sns._p(params, "Endpoint"))
    if existing is not None:
        return _subscribe_again(existing, given, params)
    response: Response = _stock_subscribe(params)
    subscription = _find(topic, sns._p(params, "Protocol"), sns._p(params, "Endpoint"))
    if response[0] != 200 or subscription is None:
        return response
    _drop_cleared(subscription)
    if subscription["protocol"] in sns_email.PROTOCOLS:
        _make_pending(topic, subscription)
    return _answer("Subscribe", _shown(subscription, params))


def _find(topic: Any, protocol: str, endpoint: str) -> Any:
    return next(
        (
            found
            for found in topic["subscriptions"]
            if (found["protocol"], found["endpoint"]) == (protocol, endpoint)
        ),
        None,
    )


def _subscribe_again(existing: Any, given: dict[str, str], params: Params) -> Response:
    if any(existing["attributes"].get(name, "") != value for name, value in given.items()):
        return _invalid("Attributes Reason: Subscription already exists with different attributes")
    if not existing["confirmed"] and existing["protocol"] in sns_email.PROTOCOLS:
        sns_email.ask_to_confirm(existing)
    return _answer("Subscribe", _shown(existing, params))


def _shown(subscription: Any, params: Params) -> str:
    wanted = sns._p(params, "ReturnSubscriptionArn").lower() == "true"
    return (
        str(subscription["arn"]) if subscription["confirmed"] or wanted else "pending confirmation"
    )


def _make_pending(topic: Any, subscription: Any) -> None:
    subscription.update(
        confirmed=False, token=sns.new_uuid().replace("-", "") * 2, asked_at=time.time()
    )
    subscription["attributes"].update(
        PendingConfirmation="true", ConfirmationWasAuthenticated="false"
    )
    sns._refresh_subscription_counts(topic)
    try:
        sns_email.ask_to_confirm(subscription)
    except journal.JournalError:
        topic["subscriptions"].remove(subscription)
        sns._sub_arn_to_topic.pop(subscription["arn"], None)
        sns._refresh_subscription_counts(topic)
        raise


def _drop_cleared(subscription: Any) -> None:
    attributes = subscription["attributes"]
    for name in _SETTABLE:
        if attributes.get(name) in {"", "{}"}:
            del attributes[name]
    attributes.setdefault("RawMessageDelivery", "false")
    if "FilterPolicy" in attributes:
        attributes.setdefault("FilterPolicyScope", "MessageAttributes")
    else:
        attributes.pop("FilterPolicyScope", None)


def _confirm(params: Params) -> Response:
    """The link carries no credentials, hence no account and no Region: they come from the topic's ARN."""
    try:
        spec = parse_arn(sns._p(params, "TopicArn"))
    except ArnParseError:
        return _invalid("TopicArn")
    token = sns._p(params, "Token")
    with request_scope(spec.account_id, spec.region):
        topic = sns._topic_by_arn_any_scope(str(spec))
        found = next(
            (
                s
                for s in (topic or {}).get("subscriptions", ())
                if token and s.get("token") == token
            ),
            None,
        )
        if (
            found is not None
            and time.time() - found.get("asked_at", time.time()) > sns_email.TOKEN_LIFE_S
        ):
            return _invalid("Token")
        response: Response = _stock_confirm(params)
    if found is not None and response[0] == 200:
        found["confirmed_token"] = token
        return response
    return _confirmed_before(topic, token) or (response if topic is None else _invalid("Token"))


def _confirmed_before(topic: Any, token: str) -> Response | None:
    """A link that is followed twice answers twice."""
    for subscription in (topic or {}).get("subscriptions", ()):
        if token and subscription.get("confirmed_token") == token:
            return _answer("ConfirmSubscription", subscription["arn"])
    return None


def _unsubscribe(params: Params) -> Response:
    arn = sns._p(params, "SubscriptionArn")
    try:
        spec = parse_arn(arn)
    except ArnParseError:
        elements = len(arn.split(":"))
        return _invalid(
            f"SubscriptionArn Reason: An ARN must have at least 6 elements, not {elements}"
        )
    with request_scope(spec.account_id, spec.region):
        found = sns._find_subscription(arn.rpartition(":")[0], arn)
        if found is not None and not found["confirmed"]:
            return _invalid("This subscription is pending confirmation and can't be deleted")
        response: Response = _stock_unsubscribe(params)
    return response


def _listed(stock: Any) -> Any:
    """AWS shows `PendingConfirmation` in place of the ARN of a subscription that waits for its address."""

    def listed(params: Params) -> Response:
        status, headers, body = stock(params)
        for topic in sns._topics.all_values():
            for subscription in topic.get("subscriptions", ()):
                if not subscription["confirmed"]:
                    arn = f"<SubscriptionArn>{subscription['arn']}</SubscriptionArn>".encode()
                    body = body.replace(
                        arn, b"<SubscriptionArn>PendingConfirmation</SubscriptionArn>"
                    )
        return status, headers, body

    return listed


def _set_attributes(params: Params) -> Response:
    name, value = sns._p(params, "AttributeName"), sns._p(params, "AttributeValue")
    if problem := attribute_problem(name, value):
        return _invalid(f"AttributeValue Reason: {problem}")
    response: Response = _stock_set_attributes(params)
    arn = sns._p(params, "SubscriptionArn")
    found = sns._find_subscription(arn.rpartition(":")[0], arn)
    if found is not None:
        _drop_cleared(found)
    return response


def _create_topic(params: Params) -> Response:
    arn = f"arn:aws:sns:{sns.get_region()}:{sns.get_account_id()}:{sns._p(params, 'Name')}"
    existing, tags = sns._topics.get(arn), sns._param_tags(params)
    if existing is not None and tags and existing["tags"] != tags:
        return _invalid("Tags Reason: Topic already exists with different tags")
    response: Response = _stock_create_topic(params)
    return response


def _publish(params: Params) -> Response:
    subject = sns._p(params, "Subject")
    if subject and (
        len(subject) > MAX_SUBJECT or not subject.isascii() or not subject.isprintable()
    ):
        return _invalid("Subject")
    if not sns._p(params, "Message"):
        return _invalid("Empty message")
    response: Response = _stock_publish(params)
    return response


def install() -> None:
    sns._error = _error
    sns._subscribe = _subscribe
    sns._confirm_subscription = _confirm
    sns._unsubscribe = _unsubscribe
    sns._list_subscriptions = _listed(sns._list_subscriptions)
    sns._list_subscriptions_by_topic = _listed(sns._list_subscriptions_by_topic)
    sns._set_subscription_attributes = _set_attributes
    sns._create_topic = _create_topic
    sns._publish = _publish
