"""E-mail subscriptions: pending until someone follows the link, and mail that lands in a folder.

Every mail is one RFC 5322 file, `<project>/.imgpipe/mail/<time in ns>-<kind>.eml`, written under another
name and renamed, so that a reader never meets half a mail. The link in a confirmation is a plain GET on the endpoint,
which needs no signature, as on AWS. Text messages and what a device would show are kept beside the mail, as if they
were some. Sending any of them for real is left out.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.parse
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, make_msgid
from pathlib import Path
from typing import Any, Literal

from imgpipe.local import journal

PROTOCOLS = frozenset({"email", "email-json"})
TOKEN_LIFE_S = 2 * 24 * 3600
AWS_SENDER = "AWS Notifications"
SENDER = "no-reply@sns.amazonaws.com"
PUSHED = "push@sns.amazonaws.com"
SUBJECT_LENGTH = 100

Tag = Literal["confirm", "notice", "sms", "push"]


def mailbox() -> Path:
    return Path(os.environ.get("IMGPIPE_MAIL_DIR") or journal.folder().parent / "mail")


def endpoint() -> str:
    return f"http://127.0.0.1:{os.environ.get('GATEWAY_PORT', '4566')}"


def write_mail(tag: Tag, to: str, subject: str, text: str, sender: str = AWS_SENDER) -> Path:
    """Put a mail into the mailbox and return its file. Raises JournalError when the disk doesn't take it."""
    mail = EmailMessage()
    mail["From"] = formataddr((sender, SENDER))
    mail["To"] = to
    mail["Subject"] = " ".join(subject.split())
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain="sns.amazonaws.com")
    mail.set_content(text, cte="8bit")
    return _place(bytes(mail), tag)


def _place(content: bytes, tag: Tag) -> Path:
    folder = mailbox()
    path = folder / f"{time.time_ns()}-{tag}.eml"
    partial = path.with_suffix(".tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise journal.JournalError(f"{path}: {error}") from error
    return path


def link(action: str, **params: str) -> str:
    return f"{endpoint()}/?{urllib.parse.urlencode({'Action': action, **params}, safe=':')}"


def ask_to_confirm(subscription: dict[str, Any]) -> None:
    """Send the confirmation that AWS sends to a new address."""
    topic = subscription["topic_arn"]
    url = link("ConfirmSubscription", TopicArn=topic, Token=subscription["token"])
    write_mail(
        "confirm",
        subscription["endpoint"],
        "AWS Notification - Subscription Confirmation",
        f"You have chosen to subscribe to the topic:\n{topic}\n\n"
        f"To confirm this subscription, visit the link below (if this was in error no action is necessary):\n{url}\n\n"
        "Please do not reply directly to this email.\n",
    )


def text(number: str, message: str) -> None:
    """Keep a text message as it would arrive."""
    write_mail("sms", f"{number}", _first_line(message), message)


def platform(endpoint: str) -> str:
    """Return the push service of a device: `GCM` of `arn:aws:sns:…:endpoint/GCM/app/device`."""
    return endpoint.partition(":endpoint/")[2].partition("/")[0]


def push(endpoint: str, payload: str) -> None:
    """Keep what a device's push service would be handed."""
    device = endpoint.partition(":endpoint/")[2]
    write_mail("push", formataddr((device, PUSHED)), _first_line(_on_screen(payload)), payload)


def _on_screen(payload: str) -> str:
    """Return what a device would show of a payload for Apple's service or Google's; any other as it is."""
    try:
        told = json.loads(payload)
        shown = told.get("notification") or told["aps"]["alert"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return payload
    if isinstance(shown, dict):
        return ": ".join(str(shown[name]) for name in ("title", "body") if shown.get(name))
    return str(shown)


def _first_line(words: str) -> str:
    return words.partition("\n")[0][:SUBJECT_LENGTH]


def notify(subscription: dict[str, Any], topic: dict[str, Any], subject: str, text: str) -> None:
    """Send a published message to a confirmed address. The topic's DisplayName is the sender's name."""
    url = link("Unsubscribe", SubscriptionArn=subscription["arn"])
    footer = (
        "\n\n--\nIf you wish to stop receiving notifications from this topic, please visit the link below to "
        f"unsubscribe:\n{url}\n\nPlease do not reply directly to this email.\n"
    )
    write_mail(
        "notice",
        subscription["endpoint"],
        subject or "AWS Notification Message",
        text + (footer if subscription["protocol"] == "email" else ""),
        topic["attributes"].get("DisplayName") or AWS_SENDER,
    )
