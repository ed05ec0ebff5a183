"""The words of notices: what a person reads of an upload, of its end, and of many at once.

Names come from strangers, so what can't be printed is shown as `?`. A notice has a long form, for mail, and a short one
for text messages and push.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unicodedata import category

from imgpipe.runtime import events
from imgpipe.runtime.errors import WORDS, Malformed, Reason
from imgpipe.runtime.row import generation, normal_sequencer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.runtime.events import Change

SUBJECT_LENGTH = 99
"""SNS takes fewer than 100 characters, ASCII, on one line."""
LISTED = 20
"""Images that a digest names."""
CLAIM = "notice#"
"""How the sort keys of claims begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message to people. `kind` is uploaded, completed or failed; subscriptions filter on it. `upload` names which
    upload of the key it is about: of each, people hear once of a kind.

    `short` is a line of its own, `picture` the key of the largest picture made, if there is one. `uploader` is the
    address that the upload came with.
    """

    kind: str
    key: str
    upload: str
    subject: str
    text: str
    short: str
    picture: str = ""
    uploader: str = ""


def claim_key(kind: str, upload: str) -> str:
    """Return the sort key under which a notice is claimed, beside the row of its image."""
    return f"{CLAIM}{kind}#{upload}"


def of_claim_key(sort_key: str) -> tuple[str, str]:
    """Return the kind of the notice and the upload that it is about."""
    kind, _, upload = sort_key.removeprefix(CLAIM).partition("#")
    return kind, upload


def notices(document: dict[str, Any], prefix: str) -> list[Notice]:
    """Return what people should hear of an event. Raises Malformed when it is none that we know."""
    document = events.opened(document)
    if document.get("status") in ("done", "rejected", "failed"):
        try:
            return [_ended(document, prefix)]
        except (KeyError, TypeError, AttributeError) as error:
            raise Malformed(f"a completion without {error}") from error
    found = events.changes(document)
    return [_uploaded(change, prefix) for change in found if change.kind == "created"]


def with_link(notice: Notice, url: str, life: str) -> Notice:
    """Return the notice with an address of its picture."""
    return replace(notice, text=f"{notice.text}\nTo look at it, within {life}:\n{url}\n")


_MANY = {
    "uploaded": (
        "Received: {} images",
        "We have received {} images. They are being worked on now.",
    ),
    "completed": ("Ready: {} images", "{} images are ready."),
    "failed": ("Not processed: {} images", "{} images could not be processed."),
}


def digest(some: Sequence[Notice]) -> Notice:
    """Return one notice in place of several of the same kind."""
    first, count = some[0], f"{len(some):,}"
    subject, text = (words.format(count) for words in _MANY[first.kind])
    lines = [text, "", *(f"  {each.short}" for each in some[:LISTED])]
    if len(some) > LISTED:
        lines.append(f"  and {len(some) - LISTED:,} more.")
    return replace(first, subject=subject, text="\n".join(lines) + "\n", short=text, picture="")


def _uploaded(change: Change, prefix: str) -> Notice:
    name = readable(change.key.removeprefix(prefix))
    lines = [
        f"We have received {name} ({size(change.size or 0)}).",
        "",
        "It is being worked on now. You will hear again when it is ready.",
    ]
    short = f"{name} ({size(change.size or 0)})"
    upload = change.version_id or normal_sequencer(change.sequencer)
    return _notice("uploaded", change.key, upload, f"Received: {name}", lines, short)


def _ended(end: dict[str, Any], prefix: str) -> Notice:
    name, upload = readable(end["key"].removeprefix(prefix)), generation(end)
    if end["status"] == "done":
        lines = [f"{name} is ready.", "", _described(end), "", *_made(end["outputs"])]
        made = len(end["outputs"])
        short = f"{name} ({size(end.get('size') or 0)}): {made} picture{'s' * (made != 1)} made"
        ready = _notice("completed", end["key"], upload, f"Ready: {name}", lines, short)
        return replace(ready, picture=_largest(end["outputs"]))
    lines = [
        f"{name} could not be processed: {_why(end)}.",
        "",
        f"The upload was {size(end.get('size') or 0)} and is kept as it came.",
        _advice(end),
    ]
    short = f"{name}: {_why(end)}"
    return _notice("failed", end["key"], upload, f"Not processed: {name}", lines, short)


def _largest(outputs: dict[str, dict[str, Any]]) -> str:
    best = max(outputs.values(), key=lambda made: made["width"] * made["height"], default=None)
    return str(best["key"]) if best else ""


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


def _notice(kind: str, key: str, upload: str, subject: str, lines: list[str], short: str) -> Notice:
    return Notice(
        kind=kind,
        key=key,
        upload=upload,
        subject=_subject(subject),
        text="\n".join(lines) + "\n",
        short=short,
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
