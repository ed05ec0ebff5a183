"""Topics and subscriptions.

A subscription is ours when its undeliverable messages go to one of our queues, or when it ends in one of our queues
or functions; other people's subscriptions to our topics are left alone. An address that has not confirmed yet counts
as subscribed: asking again would only send another e-mail, and AWS neither shows nor deletes a pending subscription.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from botocore.exceptions import ClientError

from imgpipe.deploy.providers.documents import settled
from imgpipe.deploy.providers.site import Site, found, gone, last, message
from imgpipe.deploy.resources import Key, Subscription, Topic, canonical

SCOPE = "FilterPolicyScope"
_SCOPES = {"attributes": "MessageAttributes", "body": "MessageBody"}
PENDING = frozenset({"PendingConfirmation", "pending confirmation"})


class Topics:
    def __init__(self, site: Site) -> None:
        self._site, self._sns = site, site.client("sns")

    def read(self, anchor: str, declared: Mapping[Key, Topic]) -> Iterable[Topic]:
        arn = self._site.place.topic_arn(anchor)
        answer = found(lambda: self._sns.get_topic_attributes(TopicArn=arn))
        if answer is None:
            return
        attributes, wanted = answer["Attributes"], declared.get(Key("topic", anchor))
        yield Topic(
            name=anchor,
            policy=settled(attributes.get("Policy"), wanted.policy if wanted else ""),
            display_name=attributes.get("DisplayName", ""),
        )

    def create(self, wanted: Topic) -> None:
        attributes = {"Policy": wanted.policy, "DisplayName": wanted.display_name}
        try:
            self._sns.create_topic(
                Name=wanted.name,
                Attributes={name: text for name, text in attributes.items() if text},
                Tags=self._site.tag_list,
            )
        except ClientError as error:
            if "already exists" not in message(error):
                raise
            self.update(wanted, wanted)

    def update(self, wanted: Topic, _before: Topic) -> None:
        arn = self._site.place.topic_arn(wanted.name)
        self._sns.set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=wanted.policy
        )
        self._sns.set_topic_attributes(
            TopicArn=arn, AttributeName="DisplayName", AttributeValue=wanted.display_name
        )
        self._sns.tag_resource(ResourceArn=arn, Tags=self._site.tag_list)

    def delete(self, before: Topic) -> None:
        gone(lambda: self._sns.delete_topic(TopicArn=self._site.place.topic_arn(before.name)))


class Subscriptions:
    def __init__(self, site: Site) -> None:
        self._site, self._sns = site, site.client("sns")

    def read(self, anchor: str, declared: Mapping[Key, Subscription]) -> Iterable[Subscription]:
        for listed in found(lambda: self._listed(anchor)) or ():
            made = self._described(anchor, listed, declared)
            if made and (made.key in declared or self._is_ours(made)):
                yield made

    def create(self, wanted: Subscription) -> None:
        try:
            self._sns.subscribe(
                TopicArn=self._site.place.topic_arn(wanted.topic),
                Protocol=wanted.protocol,
                Endpoint=self._endpoint(wanted),
                Attributes={name: text for name, text in self._wanted(wanted).items() if text},
                ReturnSubscriptionArn=True,
            )
        except ClientError as error:
            if "already exists" not in message(error):
                raise
            self.update(wanted, wanted)

    def update(self, wanted: Subscription, _before: Subscription) -> None:
        if arn := self._arn(wanted):
            attributes = self._wanted(wanted)
            # A scope is refused without a policy, and a policy with the wrong scope: so it is set on both sides of it.
            for name in ("RedrivePolicy", *([SCOPE] if attributes[SCOPE] else []), "FilterPolicy"):
                self._set(arn, name, attributes[name] or "{}")
            if attributes[SCOPE]:
                self._set(arn, SCOPE, attributes[SCOPE])

    def _set(self, arn: str, name: str, text: str) -> None:
        self._sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName=name, AttributeValue=text
        )

    def delete(self, before: Subscription) -> None:
        if arn := self._arn(before):
            gone(lambda: self._sns.unsubscribe(SubscriptionArn=arn))

    def id_of(self, wanted: Subscription) -> str:
        """Return the ARN that AWS gave it; nothing for one that is pending or not there."""
        return self._arn(wanted) or ""

    def pending(self, topic: str) -> list[str]:
        """Return the addresses that have not confirmed yet."""
        return [
            one["Endpoint"] for one in found(lambda: self._listed(topic)) or () if _is_pending(one)
        ]

    def _listed(self, topic: str) -> list[dict[str, str]]:
        pages = self._sns.get_paginator("list_subscriptions_by_topic")
        arn = self._site.place.topic_arn(topic)
        return [one for page in pages.paginate(TopicArn=arn) for one in page["Subscriptions"]]

    def _described(
        self, topic: str, listed: dict[str, str], declared: Mapping[Key, Subscription]
    ) -> Subscription | None:
        bare = _bare(topic, listed)
        wanted = declared.get(bare.key)
        if _is_pending(listed):
            return wanted
        answer = found(
            lambda: self._sns.get_subscription_attributes(SubscriptionArn=listed["SubscriptionArn"])
        )
        if answer is None:
            return None
        return _with_attributes(bare, answer["Attributes"], wanted)

    def _is_ours(self, made: Subscription) -> bool:
        ends_in_ours = made.protocol in {"sqs", "lambda"} and self._site.names(made.endpoint)
        return ends_in_ours or (made.dlq is not None and self._site.names(made.dlq))

    def _arn(self, wanted: Subscription) -> str | None:
        """Return the ARN, or None for a subscription that is pending or not there."""
        for listed in found(lambda: self._listed(wanted.topic)) or ():
            if _bare(wanted.topic, listed).key == wanted.key and not _is_pending(listed):
                return listed["SubscriptionArn"]
        return None

    def _endpoint(self, wanted: Subscription) -> str:
        match wanted.protocol:
            case "sqs":
                return self._site.place.queue_arn(wanted.endpoint)
            case "lambda":
                return self._site.place.function_arn(wanted.endpoint)
            case _:
                return wanted.endpoint

    def _wanted(self, wanted: Subscription) -> dict[str, str]:
        target = (
            {"deadLetterTargetArn": self._site.place.queue_arn(wanted.dlq)} if wanted.dlq else {}
        )
        return {
            "RedrivePolicy": canonical(target) if target else "",
            SCOPE: _SCOPES[wanted.filter_scope] if wanted.filter_policy else "",
            "FilterPolicy": wanted.filter_policy,
        }


def _bare(topic: str, listed: dict[str, str]) -> Subscription:
    protocol = listed["Protocol"]
    endpoint = last(listed["Endpoint"]) if protocol in {"sqs", "lambda"} else listed["Endpoint"]
    return Subscription(topic=topic, protocol=cast("Any", protocol), endpoint=endpoint, dlq=None)


def _is_pending(listed: dict[str, str]) -> bool:
    return listed["SubscriptionArn"] in PENDING


def _with_attributes(
    bare: Subscription, attributes: dict[str, str], wanted: Subscription | None
) -> Subscription:
    redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
    filter_policy = settled(attributes.get("FilterPolicy"), wanted.filter_policy if wanted else "")
    filter_policy = "" if filter_policy == "{}" else filter_policy
    by_body = attributes.get(SCOPE) == _SCOPES["body"]
    return Subscription(
        topic=bare.topic,
        protocol=bare.protocol,
        endpoint=bare.endpoint,
        dlq=last(redrive["deadLetterTargetArn"]) if redrive else None,
        filter_policy=filter_policy,
        filter_scope="body" if filter_policy and by_body else "attributes",
    )
