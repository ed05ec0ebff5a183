"""Mail in a folder: numbered from the oldest, links found, odd files ignored."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from rich.console import Console

from imgpipe.cli.local_mail import listed
from imgpipe.cli.views.fitting import fitted
from imgpipe.errors import MissingError, UnreachableError
from imgpipe.local import mailbox

TOPIC = "arn:aws:sns:us-east-1:000000000000:notices"
LINK = f"http://127.0.0.1:1/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"


def _deliver(folder: Path, time_ns: int, kind: str, to: str, text: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "AWS <no-reply@x>", to, f"Größe {time_ns}"
    mail.set_content(text)
    place = folder / ".imgpipe" / "mail"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{time_ns}-{kind}.eml").write_bytes(bytes(mail))


def test_an_empty_mailbox_is_no_error(tmp_path: Path) -> None:
    assert mailbox.all_mail(tmp_path) == []
    with pytest.raises(MissingError):
        mailbox.mail(tmp_path, 1)


def test_numbers_follow_time_not_the_length_of_names(tmp_path: Path) -> None:
    _deliver(tmp_path, 1_000, "notice", "b@x", "later")
    _deliver(tmp_path, 999, "notice", "a@x", "earlier")
    (tmp_path / ".imgpipe" / "mail" / "half.tmp").write_text("x")
    (tmp_path / ".imgpipe" / "mail" / "notes.eml").write_text("x")

    assert [(each.number, each.to) for each in mailbox.all_mail(tmp_path)] == [
        (1, "a@x"),
        (2, "b@x"),
    ]
    letter = mailbox.mail(tmp_path, 2)
    assert (letter.text.strip(), letter.subject) == ("later", "Größe 1000")


@pytest.mark.parametrize("number", [0, -1, 2])
def test_a_number_that_is_not_there_is_told(tmp_path: Path, number: int) -> None:
    _deliver(tmp_path, 1, "notice", "a@x", "")
    with pytest.raises(MissingError, match="there are 1 mails"):
        mailbox.mail(tmp_path, number)


def test_only_a_confirmation_has_a_link_to_follow(tmp_path: Path) -> None:
    _deliver(tmp_path, 1, "confirm", "a@x", f"Visit:\n{LINK}\n")
    _deliver(tmp_path, 2, "notice", "a@x", f"Somebody wrote {LINK}")

    assert [each.link for each in mailbox.all_mail(tmp_path)] == [LINK, None]


def test_an_address_that_nobody_asked_is_told(tmp_path: Path) -> None:
    _deliver(tmp_path, 1, "confirm", "a@x", LINK)
    with pytest.raises(MissingError, match="no mail asks"):
        mailbox.confirm(tmp_path, "http://127.0.0.1:1", "b@x")


def test_a_server_that_is_gone_is_told(tmp_path: Path) -> None:
    _deliver(tmp_path, 1, "confirm", "a@x", LINK)
    with pytest.raises(UnreachableError):
        mailbox.confirm(tmp_path, "http://127.0.0.1:1", "a@x")


def test_the_list_fits_80_columns_and_breaks_no_number() -> None:
    at = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
    to = "somebody.with.a.long.name@photographers.example.com"
    subject = (
        "Your photo with a long name that goes on and on is ready: a/very/long/folder/name.jpg"
    )
    letter = mailbox.Mail(
        number=9, at=at, kind="notice", sender="x@y", to=to, subject=subject, text=""
    )
    letters = [letter, replace(letter, number=1234)]
    console = Console(width=80, file=io.StringIO())
    console.print(fitted(listed(letters), 80))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    assert any(re.match(r"1234   2026-11-\d\d \d\d:\d\d:00 ", line) for line in lines)
