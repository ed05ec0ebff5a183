"""Queues. A name that was deleted less than a minute ago is refused by SQS: we wait, and say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy.providers.documents import settled
from imgpipe.deploy.providers.site import Site, found, gone, last
from imgpipe.deploy.resources import Key, Queue, canonical

_COUNTERS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class Queues:
    def __init__(self, site: Site) -> None:
        self._site, self._sqs = site, site.client("sqs")

    def read(self, anchor: str, declared: Mapping[Key, Queue]) -> Iterable[Queue]:
        attributes = found(lambda: self._attributes(anchor))
        if attributes is None:
            return
        wanted = declared.get(Key("queue", anchor))
        redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
        unused = wanted.max_receives if wanted else 5
        yield Queue(
            name=anchor,
            policy=settled(attributes.get("Policy"), wanted.policy if wanted else ""),
            visibility_s=int(attributes["VisibilityTimeout"]),
            retention_s=int(attributes["MessageRetentionPeriod"]),
            receive_wait_s=int(attributes.get("ReceiveMessageWaitTimeSeconds", 0)),
            dlq=last(redrive["deadLetterTargetArn"]) if redrive else None,
            max_receives=int(redrive.get("maxReceiveCount", unused)),
        )

    def create(self, wanted: Queue) -> None:
        attributes = {name: text for name, text in self._wanted(wanted).items() if text}
        try:
            self._site.patiently(
                lambda: self._sqs.create_queue(
                    QueueName=wanted.name, Attributes=attributes, tags=dict(self._site.tags)
                ),
                _deleted_recently,
                "SQS keeps a deleted name for 60 s: waiting",
            )
        except ClientError as error:
            if not _exists_otherwise(error):
                raise
            self.update(wanted, wanted)

    def update(self, wanted: Queue, _before: Queue) -> None:
        url = self._url(wanted.name)
        self._sqs.set_queue_attributes(QueueUrl=url, Attributes=self._wanted(wanted))
        self._sqs.tag_queue(QueueUrl=url, Tags=dict(self._site.tags))

    def delete(self, before: Queue) -> None:
        gone(lambda: self._sqs.delete_queue(QueueUrl=self._url(before.name)))

    def messages(self, name: str) -> int:
        """Return about how many messages the queue holds, visible or not."""
        attributes = found(lambda: self._attributes(name)) or {}
        return sum(int(attributes.get(counter, 0)) for counter in _COUNTERS)

    def _url(self, name: str) -> str:
        return self._site.place.queue_url(name)

    def _attributes(self, name: str) -> dict[str, str]:
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url(name), AttributeNames=["All"])
        attributes: dict[str, str] = answer["Attributes"]
        return attributes

    def _wanted(self, queue: Queue) -> dict[str, str]:
        """Return the attributes as SQS takes them; an empty text removes one."""
        redrive = ""
        if queue.dlq:
            target = self._site.place.queue_arn(queue.dlq)
            redrive = canonical(
                {"deadLetterTargetArn": target, "maxReceiveCount": str(queue.max_receives)}
            )
        return {
            "Policy": queue.policy,
            "VisibilityTimeout": str(queue.visibility_s),
            "MessageRetentionPeriod": str(queue.retention_s),
            "ReceiveMessageWaitTimeSeconds": str(queue.receive_wait_s),
            "RedrivePolicy": redrive,
            "SqsManagedSseEnabled": "true",
        }


def _deleted_recently(error: ClientError) -> bool:
    return "QueueDeletedRecently" in error_code(error)


def _exists_otherwise(error: ClientError) -> bool:
    return error_code(error) in {"QueueAlreadyExists", "QueueNameExists"}
