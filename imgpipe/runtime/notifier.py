"""Turns events into words that a person reads, on the `notices` topic.

Addresses never subscribe to the topics that machines use: people would get JSON. Each notice is
claimed in the table before it is sent, so that a person hears of a thing at most once however often
its event is delivered; the claim says afterwards when it was sent, so that a claim without a send
can be found.

Events wait in a queue for a few seconds, so that many come together: more than `digest` of one kind in
a batch make one message. The words are in `notices`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imgpipe.runtime import batch, events, items, log, notices
from imgpipe.runtime.row import TOMBSTONE_DAYS
from imgpipe.runtime.settings import Settings, from_environment
from imgpipe.runtime.store import Store, shared

if TYPE_CHECKING:
    from imgpipe.runtime.events import Message
    from imgpipe.runtime.notices import Notice

UPLOADER = "notify"
"""The name of the object metadata (`x-amz-meta-notify`) that holds an uploader's address."""

Claimed = list[tuple["Message", "Notice", str]]
"""A message, what it says, and when that was claimed."""


def run(
    event: dict[str, Any],
    context: Any,
    *,
    store: Store | None = None,
    settings: Settings | None = None,
) -> batch.Response:
    """Serve one invocation."""
    used, told = store or shared(), settings or from_environment()
    heard = events.messages(event, str(getattr(context, "aws_request_id", "")))
    claimed: Claimed = []
    failed: dict[str, Exception] = {}
    for message in heard:
        try:
            claimed += [(message, *each) for each in claims(message, used, told)]
        except Exception as error:  # noqa: BLE001 - one message's trouble is not the others'
            failed[message.id] = error
    for some in bundles(claimed, told.digest):
        try:
            send(some, used, told)
        except Exception as error:  # noqa: BLE001 - the other bundles still go out
            failed |= {message.id: error for message, _, _ in some}
    for message in heard:
        if message.id in failed:
            batch.log_failure(message, failed[message.id])
    return batch.answer(heard, failed)


def claims(message: Message, store: Store, settings: Settings) -> list[tuple[Notice, str]]:
    """Return what is to be said of `message` and was never said, and when it was claimed."""
    found = []
    for notice in notices.notices(message.document(), settings.prefix):
        log.line("start", message_id=message.id, key=notice.key, step="notifier", kind=notice.kind)
        whose = _with_uploader(notice, store, settings)
        at = log.now()
        wanted = notice.kind in settings.notices or whose.uploader
        if wanted and store.put_item(settings.table, _claim(notice, at, rev=0), rev=None):
            found.append((whose, at))
    return found


def bundles(claimed: Claimed, most: int) -> list[Claimed]:
    """Put together what is said in one message: each alone, or all of a kind if there are more than `most`."""
    kinds: dict[tuple[str, str], Claimed] = {}
    for each in claimed:
        kinds.setdefault((each[1].kind, each[1].uploader), []).append(each)
    return [
        some
        for group in kinds.values()
        for some in ([group] if len(group) > most else [[each] for each in group])
    ]


def send(some: Claimed, store: Store, settings: Settings) -> None:
    said = [notice for _, notice, _ in some]
    notice = said[0] if len(said) == 1 else notices.digest(said)
    if notice.picture and settings.link_s:
        url = store.link(settings.variants_bucket, notice.picture, settings.link_s)
        notice = notices.with_link(notice, url, life(settings.link_s))
    attributes = {"kind": notice.kind, "uploader": notice.uploader}
    store.publish(
        settings.notices_topic_arn, _forms(notice), attributes, notice.subject, by_protocol=True
    )
    for _, each, at in some:
        item = _claim(each, at, rev=1, sent_at=log.now())
        store.put_item(settings.table, item, rev=0)


def life(seconds: int) -> str:
    """Return how long a link lives, in words."""
    if seconds >= 7200:
        return f"{seconds // 3600} hours"
    return "an hour" if seconds >= 3600 else f"{max(1, seconds // 60)} minutes"


def _forms(notice: Notice) -> str:
    """Return the notice as each kind of subscriber gets it: SNS chooses by protocol."""
    line = f"{notice.subject.partition(':')[0]}: {notice.short}"
    push = {"title": notice.subject, "body": notice.short}
    apple = json.dumps({"aps": {"alert": push}})
    forms = {
        "default": notice.text,
        "sms": line,
        "GCM": json.dumps({"notification": push}),
        "APNS": apple,
        "APNS_SANDBOX": apple,
    }
    return json.dumps(forms)


def _with_uploader(notice: Notice, store: Store, settings: Settings) -> Notice:
    if not settings.uploaders:
        return notice
    given = store.metadata(settings.uploads_bucket, notice.key).get(UPLOADER, "").strip().lower()
    return replace(notice, uploader=given) if given in settings.uploaders else notice


def _claim(notice: Notice, at: str, *, rev: int, sent_at: str | None = None) -> dict[str, Any]:
    expires = int(datetime.now(UTC).timestamp()) + TOMBSTONE_DAYS * 86_400
    fields = {
        "pk": notice.key,
        "sk": notices.claim_key(notice.kind, notice.upload),
        "rev": rev,
        "claimed_at": at,
        "expires_at": expires,
    }
    return items.encode({**fields, "sent_at": sent_at} if sent_at else fields)
