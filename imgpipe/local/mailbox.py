"""The mail that the embedded cloud would have sent: files in a folder, the oldest first.

Each is `<time in ns>-<kind>.eml`, as `corrections.sns_email` writes them: `confirm` and `notice`, and
beside the mail text messages (`sms`) and what devices would show (`push`). Numbers count from 1 in
that order, so that a number stays what it is while mail arrives.
"""

from __future__ import annotations

import email
import email.policy
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from imgpipe.errors import MissingError, UnreachableError
from imgpipe.local.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIRM = "confirm"
_LINK = re.compile(r"https?://\S+Action=ConfirmSubscription\S*")
_NAME = re.compile(r"(\d+)-([a-z]+)\.eml")
PATIENCE_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    number: int
    at: datetime
    kind: str
    sender: str
    to: str
    subject: str
    text: str

    @property
    def link(self) -> str | None:
        """The confirmation link, in a mail that asks for one."""
        found = _LINK.search(self.text) if self.kind == CONFIRM else None
        return found[0] if found else None


def all_mail(folder: Path) -> list[Mail]:
    """Return the mail of the project in `folder`."""
    named = ((_NAME.fullmatch(path.name), path) for path in Layout(folder).mail.glob("*.eml"))
    found = sorted((int(name[1]), name[2], path) for name, path in named if name)
    return [_read(number, *each) for number, each in enumerate(found, 1)]


def mail(folder: Path, number: int) -> Mail:
    """Return one mail. Raises MissingError when there is none of that number."""
    every = all_mail(folder)
    if not 1 <= number <= len(every):
        raise MissingError(
            f"mail {number}", f"there are {len(every)} mails", hint="imgpipe local mail"
        )
    return every[number - 1]


def _read(number: int, time_ns: int, kind: str, path: Path) -> Mail:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = message.get_body(("plain",))
    return Mail(
        number=number,
        at=datetime.fromtimestamp(time_ns / 1e9, UTC),
        kind=kind,
        sender=str(message.get("From", "")),
        to=str(message.get("To", "")),
        subject=str(message.get("Subject", "")),
        text=str(body.get_content()) if body else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What following a link came to. `error` is "" when the address is confirmed now."""

    address: str
    topic: str
    error: str = ""


def confirm(folder: Path, endpoint: str, address: str | None = None) -> list[Confirmation]:
    """Follow the latest confirmation link of `address`, for each topic; of all when it is None.

    Raises MissingError when no mail asks `address` to confirm anything.
    """
    latest: dict[tuple[str, str], str] = {}
    for each in all_mail(folder):
        if each.link and address in (None, each.to):
            latest[each.to, _topic(each.link)] = each.link
    if not latest and address:
        raise MissingError(
            address, "no mail asks this address to confirm anything", hint="imgpipe local mail"
        )
    return [
        Confirmation(address=to, topic=topic.rpartition(":")[2], error=_follow(link, endpoint))
        for (to, topic), link in latest.items()
    ]


def _topic(link: str) -> str:
    return parse_qs(urlsplit(link).query).get("TopicArn", [""])[0]


def _follow(link: str, endpoint: str, fetch: Callable[..., Any] = urllib.request.urlopen) -> str:
    """Follow the link at the endpoint of today: the port may have changed since the mail."""
    here = urlsplit(endpoint)
    url = urlsplit(link)._replace(scheme=here.scheme, netloc=here.netloc).geturl()
    try:
        with fetch(url, timeout=PATIENCE_S):
            return ""
    except urllib.error.HTTPError as error:
        return _reason(error)
    except OSError as error:
        raise UnreachableError(
            "the embedded cloud", str(error), hint="imgpipe local status"
        ) from error


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    found = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    return found[1] if found else f"HTTP {error.code}"
