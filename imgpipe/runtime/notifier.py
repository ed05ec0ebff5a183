"""Turns events into words that a person reads, on the `notices` topic.

Addresses never subscribe to the topics that machines use: people would get JSON. Each notice is
claimed in the table before it is sent, so that a person hears of a thing at most once however often
its event is delivered; the claim says afterwards when it was sent, so that a claim without a send
can be found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unicodedata import category

from imgpipe.runtime import batch, events, items, log
from imgpipe.runtime.errors import WORDS, Malformed, Reason
from imgpipe.runtime.row import TOMBSTONE_DAYS, normal_sequencer
from imgpipe.runtime.settings import Settings, from_environment
from imgpipe.runtime.store import Store, shared

if TYPE_CHECKING:
    from imgpipe.runtime.events import Change, Message

SUBJECT_LENGTH = 99
"""SNS takes fewer than 100 characters, ASCII, on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message to people. `kind` is uploaded, completed or failed; subscriptions filter on it."""

    kind: str
    key: str
    sequencer: str
    subject: str
    text: str


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
    return batch.run(heard, lambda message: work(message, used, told))


def work(message: Message, store: Store, settings: Settings) -> None:
    for notice in notices(message.document(), settings.prefix):
        log.line("start", message_id=message.id, key=notice.key, step="notifier", kind=notice.kind)
        if notice.kind in settings.notices and claim(notice, store, settings):
            store.publish(
                settings.notices_topic_arn, notice.text, {"kind": notice.kind}, notice.subject
            )
            _record_sent(notice, store, settings)


def notices(document: dict[str, Any], prefix: str) -> list[Notice]:
    """Return what people should hear of an event. Raises Malformed when it is none that we know."""
    if document.get("status") in ("done", "rejected", "failed"):
        try:
            return [_ended(document, prefix)]
        except (KeyError, TypeError, AttributeError) as error:
            raise Malformed(f"a completion without {error}") from error
    found = events.changes(document)
    return [_uploaded(change, prefix) for change in found if change.kind == "created"]


def claim(notice: Notice, store: Store, settings: Settings) -> bool:
    """Take the right to send `notice`; False when it was sent, or tried, before."""
    return store.put_item(settings.table, _claim(notice, rev=0), rev=None)


def _record_sent(notice: Notice, store: Store, settings: Settings) -> None:
    item = _claim(notice, rev=1, sent_at=log.now())
    store.put_item(settings.table, item, rev=0)


def _claim(notice: Notice, *, rev: int, sent_at: str | None = None) -> dict[str, Any]:
    expires = int(datetime.now(UTC).timestamp()) + TOMBSTONE_DAYS * 86_400
    fields = {
        "pk": notice.key,
        "sk": f"notice#{notice.kind}#{notice.sequencer}",
        "rev": rev,
        "claimed_at": log.now(),
        "expires_at": expires,
    }
    return items.encode({**fields, "sent_at": sent_at} if sent_at else fields)


def _uploaded(change: Change, prefix: str) -> Notice:
    name = readable(change.key.removeprefix(prefix))
    lines = [
        f"We have received {name} ({size(change.size or 0)}).",
        "",
        "It is being worked on now. You will hear again when it is ready.",
    ]
    return _notice("uploaded", change.key, change.sequencer, f"Received: {name}", lines)


def _ended(end: dict[str, Any], prefix: str) -> Notice:
    name = readable(end["key"].removeprefix(prefix))
    if end["status"] == "done":
        lines = [f"{name} is ready.", "", _described(end), "", *_made(end["outputs"])]
        return _notice("completed", end["key"], end["sequencer"], f"Ready: {name}", lines)
    lines = [
        f"{name} could not be processed: {_why(end)}.",
        "",
        f"The upload was {size(end.get('size') or 0)} and is kept as it came.",
        _advice(end),
    ]
    return _notice("failed", end["key"], end["sequencer"], f"Not processed: {name}", lines)


def _described(end: dict[str, Any]) -> str:
    facts = end.get("facts") or {}
    parts = [size(end.get("size") or 0)]
    if facts.get("width"):
        parts.insert(0, f"{facts['width']} x {facts['height']} pixels")
    kind = f" {facts['format'].upper()}" if facts.get("format") else ""
    return f"The original: {', '.join(parts)}{kind}."


def _made(outputs: dict[str, dict[str, Any]]) -> list[str]:
    if not outputs:
        return ["Its metadata was recorded."]
    width = max(len(name) for name in outputs)
    lines = [
        f"  {name.ljust(width)}  {made['width']} x {made['height']}, {size(made['bytes'])}"
        for name, made in outputs.items()
    ]
    return ["Made from it:", *lines]


def _why(end: dict[str, Any]) -> str:
    given = str(end.get("reason") or "")
    if given in set(Reason):
        return WORDS[Reason(given)]
    if end["status"] == "failed":
        return "a fault on our side"
    return readable(given) or "no reason was given"


def _advice(end: dict[str, Any]) -> str:
    if end["status"] == "failed":
        fault = readable(str(end.get("reason") or "unknown"))
        return f"It is kept for another attempt; the fault was: {fault}."
    return "Please check the file and upload it again."


def _notice(kind: str, key: str, sequencer: str, subject: str, lines: list[str]) -> Notice:
    return Notice(
        kind=kind,
        key=key,
        sequencer=normal_sequencer(sequencer),
        subject=_subject(subject),
        text="\n".join(lines) + "\n",
    )


def _subject(text: str) -> str:
    ascii_ = text.encode("ascii", "replace").decode()
    return ascii_ if len(ascii_) <= SUBJECT_LENGTH else ascii_[: SUBJECT_LENGTH - 3] + "..."


def readable(text: str) -> str:
    """Return `text` with everything that can't be printed shown as `?`:

    names come from strangers.
    """
    return "".join(char if char.isprintable() or category(char) == "Zs" else "?" for char in text)


def size(count: int) -> str:
    """Return bytes as people say them: `1.9 MB`."""
    if count < 1000:
        return f"{count} bytes"
    value, units = float(count), ["kB", "MB", "GB"]
    for unit in units:
        value /= 1000
        if value < 999.5 or unit == units[-1]:
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    raise AssertionError("unreachable")
