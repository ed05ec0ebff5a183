"""S3 events: announced before the change is answered, in the shape that AWS sends.

An upload, the messages that announce it and the invocations that follow are marked in the journal within one request,
so they reach the disk in one commit; there is no event between two places for a crash to lose. EventBridge hears of it
at the same moment.

The sequencer grows with every event of a bucket, over restarts and clocks that go back: the last one is an entry.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from ministack.core.responses import get_account_id, new_uuid, request_scope
from ministack.services import eventbridge, s3

from imgpipe.local import journal
from imgpipe.local.corrections import send

log = logging.getLogger("s3")

SEQUENCER = "sequencer"
SUBJECT = "Amazon S3 Notification"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


class Sequencer:
    """Ever-growing numbers, from the clock as long as it goes forward."""

    def __init__(self, book: journal.Journal) -> None:
        self._journal, self._lock = book, threading.Lock()
        self._last = max((int(text) for _, text in book.load(SEQUENCER)), default=0)

    def next(self) -> str:
        """Return the next sequencer: 18 hexadecimal digits, as AWS's own."""
        with self._lock:
            self._last = max(time.time_ns() // 1000, self._last + 1)
            last = self._last
        self._journal.mark(SEQUENCER, "last", lambda: str(self._last))
        return f"{last:018X}"


def event_object(event: str, key: str, known: dict[str, Any], sequencer: str) -> dict[str, Any]:
    """Return the record's `object`. Which members are there differs by event; AWS leaves out what it doesn't know."""
    described: dict[str, Any] = {"key": quote_plus(key, safe="/")}
    if event.startswith("s3:ObjectCreated:"):
        described |= {"size": known["size"], "eTag": known["etag"].strip('"')}
    elif event == "s3:ObjectRemoved:DeleteMarkerCreated":
        described["eTag"] = EMPTY_MD5
    elif known["etag"]:
        described["eTag"] = known["etag"].strip('"')
    if known["version_id"]:
        described["versionId"] = known["version_id"]
    if event.startswith(("s3:ObjectCreated:", "s3:ObjectRemoved:")):
        described["sequencer"] = sequencer
    return described


def event_record(
    bucket: str, region: str, event: str, rule_id: str, described: dict[str, Any]
) -> dict[str, Any]:
    """Return one S3 event record, as every kind of subscriber gets it."""
    return {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "eventName": event.removeprefix("s3:"),
        "userIdentity": {"principalId": f"AWS:{get_account_id()}"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": new_uuid(), "x-amz-id-2": new_uuid()},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": rule_id,
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": get_account_id()},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": described,
        },
    }


@lru_cache(maxsize=64)
def rules(document: str) -> tuple[dict[str, Any], ...]:
    """Return the rules of a notification document, read once."""
    return tuple(s3._parse_notification_config_raw(document))


def rule_wants(rule: dict[str, Any], event: str, key: str) -> bool:
    """Return whether a rule selects the event. AWS reads `+` and `%` in its filters as in a URL."""
    if not s3._event_matches(event, rule["events"]):
        return False
    plain = s3._key_matches_filter(key, rule["filter_prefix"], rule["filter_suffix"])
    prefix, suffix = _decoded(rule["filter_prefix"]), _decoded(rule["filter_suffix"])
    return bool(plain or s3._key_matches_filter(key, prefix, suffix))


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote_plus(text)


def deliver(bucket: str, rule: dict[str, Any], document: dict[str, Any]) -> None:
    """Send an event to a rule's destination. A refusal is logged: AWS, too, tells nobody."""
    owner = s3._bucket_owner_account(bucket) or get_account_id()
    sender = send.Sender(service="s3.amazonaws.com", source=f"arn:aws:s3:::{bucket}", account=owner)
    text = json.dumps(document)
    try:
        match rule["type"]:
            case "sqs":
                send.to_queue(sender, rule["arn"], text)
            case "sns":
                send.to_topic(sender, rule["arn"], text, SUBJECT)
            case _:
                send.to_function(sender, rule["arn"], document)
    except send.RefusedError as error:
        log.error("an event of %s is lost: %s", bucket, error.message)  # noqa: TRY400 - no traceback of interest


class Announcer:
    """Takes the place of ministack's thread an event."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer

    def announce(
        self,
        bucket_name: str,
        key: str,
        event_name: str,
        size: int = 0,
        etag: str = "",
        deletion_type: str | None = None,
        version_id: str | None = None,
        object_extra: dict[str, Any] | None = None,
        record_extra: dict[str, Any] | None = None,
    ) -> None:
        """Deliver an event to all who want it. The names of the arguments are ministack's, whose callers use them."""
        document = s3._bucket_notifications.get(bucket_name)
        if not document:
            return
        sequencer = self._sequencer.next()
        known = {"size": size, "etag": etag, "version_id": version_id}
        described = event_object(event_name, key, known, sequencer) | (object_extra or {})
        region = s3._notification_bucket_region(bucket_name)
        with request_scope(get_account_id(), region):
            for rule in rules(document):
                if rule_wants(rule, event_name, key):
                    record = event_record(bucket_name, region, event_name, rule["id"], described)
                    deliver(bucket_name, rule, {"Records": [record | (record_extra or {})]})
            if "EventBridgeConfiguration" in document:
                detail = {"key": key, "size": size, "etag": etag.strip('"'), "sequencer": sequencer}
                if version_id:
                    detail["version-id"] = version_id
                _to_default_bus(bucket_name, region, event_name, detail, deletion_type)


def _to_default_bus(
    bucket: str, region: str, event: str, described: dict[str, Any], deletion_type: str | None
) -> None:
    kind, reason = s3._s3_event_to_eventbridge(event)
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket},
        "object": described,
        "request-id": new_uuid(),
        "requester": get_account_id(),
        "source-ip-address": "127.0.0.1",
    }
    if reason is not None:
        detail["reason"] = reason
    if kind == "Object Deleted":
        detail["deletion-type"] = deletion_type or "Permanently Deleted"
        described.pop("size", None)
        described.pop("etag", None)
    eventbridge._dispatch_event(
        {
            "EventId": new_uuid(),
            "Source": "aws.s3",
            "DetailType": kind,
            "Detail": json.dumps(detail),
            "EventBusName": "default",
            "Time": s3.now_iso(),
            "Resources": [f"arn:aws:s3:::{bucket}"],
            "Account": get_account_id(),
            "Region": region,
        }
    )


def announce_test(bucket_name: str) -> None:
    """Send the `s3:TestEvent` that a new notification document begins with; functions get none."""
    document = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": s3.now_iso(),
        "Bucket": bucket_name,
        "RequestId": new_uuid(),
        "HostId": new_uuid(),
    }
    for rule in rules(s3._bucket_notifications.get(bucket_name) or ""):
        if rule["type"] != "lambda":
            deliver(bucket_name, rule, document)


def install() -> None:
    s3._fire_s3_event_async = Announcer(Sequencer(journal.current())).announce
    s3._fire_s3_test_event = announce_test
