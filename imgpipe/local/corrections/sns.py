"""Fan-out: what a topic does with a message.

Each confirmed subscription whose filter matches gets it before the publisher is answered: an SQS message and an
asynchronous invocation are entries of the same journal, so one commit holds the publication and all its deliveries,
and there is nothing between them that a crash could lose. A subscriber that doesn't exist or doesn't let the topic in
is a client error, which AWS doesn't retry: the message goes to the subscription's dead-letter queue, or is lost.

Web hooks go out beside the answer, as ministack sends them, and are not kept.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.concurrency import spawn_background
from ministack.core.responses import request_scope
from ministack.services import sns

from imgpipe.local.corrections import send, sns_email, sns_filters, sns_subscriptions

log = logging.getLogger("sns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A message on its way from a topic to one subscription, in the words meant for that protocol."""

    topic: Any
    message_id: str
    message: str
    subject: str
    attributes: dict[str, Any]
    group_id: str = ""
    dedup_id: str = ""

    @property
    def sender(self) -> send.Sender:
        arn = self.topic["arn"]
        return send.Sender(
            service="sns.amazonaws.com", source=arn, account=parse_arn(arn).account_id
        )

    def envelope(self, subscription: Any) -> dict[str, Any]:
        """Return the document that SQS, HTTP and e-mail in JSON subscribers get."""
        arn = self.topic["arn"]
        certificate = (
            f"https://sns.{parse_arn(arn).region}.amazonaws.com/SimpleNotificationService-local.pem"
        )
        document: dict[str, Any] = {
            "Type": "Notification",
            "MessageId": self.message_id,
            "TopicArn": arn,
            **({"Subject": self.subject} if self.subject else {}),
            "Message": self.message,
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "SignatureVersion": "1",
            "Signature": "LOCAL",
            "SigningCertURL": certificate,
            "UnsubscribeURL": sns_email.link("Unsubscribe", SubscriptionArn=subscription["arn"]),
        }
        if self.attributes:
            document["MessageAttributes"] = self._shown_attributes()
        return document

    def _shown_attributes(self) -> dict[str, Any]:
        return {
            name: {
                "Type": value.get("DataType", "String"),
                "Value": value.get("StringValue") or value.get("BinaryValue") or "",
            }
            for name, value in self.attributes.items()
        }

    def lambda_event(self, subscription: Any) -> dict[str, Any]:
        """Return the event that a function gets: the same document, with Lambda's own spelling."""
        document = self.envelope(subscription)
        notice = {
            **document,
            "Subject": self.subject or None,
            "SigningCertUrl": document["SigningCertURL"],
            "UnsubscribeUrl": document["UnsubscribeURL"],
            "MessageAttributes": self._shown_attributes(),
        }
        del notice["SigningCertURL"], notice["UnsubscribeURL"]
        record = {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription["arn"],
            "Sns": notice,
        }
        return {"Records": [record]}


def _is_raw(subscription: Any) -> bool:
    return str(subscription["attributes"].get("RawMessageDelivery", "")).lower() == "true"


def _body(publication: Publication, subscription: Any) -> str:
    return (
        publication.message
        if _is_raw(subscription)
        else json.dumps(publication.envelope(subscription))
    )


def _to_queue(publication: Publication, subscription: Any) -> None:
    send.to_queue(
        publication.sender,
        subscription["endpoint"],
        _body(publication, subscription),
        dict(publication.attributes) if _is_raw(subscription) else None,
        group_id=publication.group_id,
        dedup_id=publication.dedup_id,
    )


def _to_function(publication: Publication, subscription: Any) -> None:
    send.to_function(
        publication.sender, subscription["endpoint"], publication.lambda_event(subscription)
    )


def _to_address(publication: Publication, subscription: Any) -> None:
    as_json = subscription["protocol"] == "email-json"
    text = (
        json.dumps(publication.envelope(subscription), indent=2) if as_json else publication.message
    )
    sns_email.notify(subscription, publication.topic, publication.subject, text)


def _to_web_hook(publication: Publication, subscription: Any) -> None:
    body = _body(publication, subscription)

    def post() -> None:
        sns._http_post_sync(subscription["endpoint"], body, "Notification")

    spawn_background(post, thread_name="sns-http")


def _to_phone(publication: Publication, subscription: Any) -> None:
    sns._sms_log_for(subscription["endpoint"]).append(
        {
            "PhoneNumber": subscription["endpoint"],
            "TopicArn": publication.topic["arn"],
            "SubscriptionArn": subscription["arn"],
            "MessageId": publication.message_id,
            "Message": publication.message,
            "MessageAttributes": publication.attributes,
            "MessageStructure": None,
            "Subject": publication.subject or None,
        }
    )
    sns_email.text(subscription["endpoint"], publication.message)


def _to_device(publication: Publication, subscription: Any) -> None:
    sns_email.push(subscription["endpoint"], publication.message)


def _words(subscription: Any) -> str:
    """Return which of a message's forms is for a subscription: its protocol's, or its device's platform's."""
    if subscription["protocol"] != "application":
        return str(subscription["protocol"])
    return sns_email.platform(subscription["endpoint"])


_DELIVER: dict[str, Callable[[Publication, Any], None]] = {
    "sqs": _to_queue,
    "lambda": _to_function,
    "email": _to_address,
    "email-json": _to_address,
    "http": _to_web_hook,
    "https": _to_web_hook,
    "sms": _to_phone,
    "application": _to_device,
}


def _deliver(publication: Publication, subscription: Any) -> None:
    deliver = _DELIVER.get(subscription["protocol"])
    if deliver is None:
        return
    try:
        deliver(publication, subscription)
    except send.RefusedError as refusal:
        _to_dead_letters(publication, subscription, refusal)


def _to_dead_letters(
    publication: Publication, subscription: Any, refusal: send.RefusedError
) -> None:
    policy = json.loads(subscription["attributes"].get("RedrivePolicy") or "{}")
    target = policy.get("deadLetterTargetArn")
    if not target:
        log.error("%s lost a message: %s", subscription["arn"], refusal.message)
        return
    try:
        send.to_queue(
            publication.sender, target, _body(publication, subscription), refusal.attributes()
        )
    except send.RefusedError as second:
        log.error("%s lost a message: %s; %s", subscription["arn"], refusal.message, second.message)  # noqa: TRY400 - no traceback of interest


def fan_out(
    topic_arn: str,
    msg_id: str,
    message: str,
    subject: str,
    message_structure: str = "",
    message_attributes: dict[str, Any] | None = None,
    message_group_id: str = "",
    message_dedup_id: str = "",
) -> None:
    """Deliver a published message. The names of the arguments are ministack's, whose callers use them."""
    try:
        spec = parse_arn(topic_arn)
    except ArnParseError:
        return
    topic = sns._topics.get_scoped(spec.account_id, spec.region, topic_arn)
    if topic is None:
        return
    attributes = message_attributes or {}
    with request_scope(spec.account_id, spec.region):
        for subscription in list(topic["subscriptions"]):
            text = sns._resolve_message_for_protocol(
                message, message_structure, _words(subscription)
            )
            if not subscription.get("confirmed") or not sns._matches_filter_policy(
                subscription, attributes, text
            ):
                continue
            publication = Publication(
                topic=topic,
                message_id=msg_id,
                message=text,
                subject=subject,
                attributes=attributes,
                group_id=message_group_id,
                dedup_id=message_dedup_id,
            )
            _deliver(publication, subscription)


def install() -> None:
    sns_filters.install()
    sns_subscriptions.install()
    sns._fanout = fan_out
