"""Mail that lands in a folder, one file each."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from imgpipe.local.corrections import sns_email
from imgpipe.local.journal import JournalError


@pytest.fixture
def mailbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMGPIPE_MAIL_DIR", str(tmp_path))
    monkeypatch.setenv("GATEWAY_PORT", "4999")
    return tmp_path


def only_mail(folder: Path) -> EmailMessage:
    (path,) = folder.glob("*.eml")
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


SUBSCRIPTION = {
    "arn": "arn:aws:sns:eu-west-1:000000000000:t:1",
    "topic_arn": "arn:aws:sns:eu-west-1:000000000000:t",
    "endpoint": "studio@example.com",
    "protocol": "email",
    "token": "abc",
}


def test_a_confirmation_carries_a_link_that_needs_no_signature(mailbox: Path) -> None:
    sns_email.ask_to_confirm(SUBSCRIPTION)
    message = only_mail(mailbox)

    assert message["To"] == "studio@example.com"
    assert (
        "http://127.0.0.1:4999/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-west-1:000000000000:t&Token=abc\n"
        in message.get_content()
    )
    assert [path.name.rpartition("-")[2] for path in mailbox.iterdir()] == ["confirm.eml"]


def test_a_notice_comes_from_the_topic_s_display_name(mailbox: Path) -> None:
    topic = {"attributes": {"DisplayName": "Photo studio"}}
    sns_email.notify(SUBSCRIPTION, topic, "Your picture", "été ✓\nis ready")
    message = only_mail(mailbox)

    assert message["From"].addresses[0].display_name == "Photo studio"
    assert message["Subject"] == "Your picture"
    assert message.get_content().startswith("été ✓\nis ready\n")
    assert [path.name.rpartition("-")[2] for path in mailbox.iterdir()] == ["notice.eml"]


def test_a_subject_cannot_add_headers(mailbox: Path) -> None:
    topic = {"attributes": {"DisplayName": ""}}
    sns_email.notify(SUBSCRIPTION, topic, "One\r\nBcc: other@example.com", "text")
    message = only_mail(mailbox)

    assert message["Bcc"] is None
    assert message["Subject"] == "One Bcc: other@example.com"
    assert message["From"].addresses[0].display_name == "AWS Notifications"


def test_mail_that_cannot_be_written_leaves_nothing_half(
    mailbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = mailbox / "file"
    file.write_text("in the way")
    monkeypatch.setenv("IMGPIPE_MAIL_DIR", str(file / "mail"))
    with pytest.raises(JournalError, match="mail"):
        sns_email.ask_to_confirm(SUBSCRIPTION)


def test_a_text_message_is_kept_as_it_would_arrive(mailbox: Path) -> None:
    sns_email.text("+447700900000", "Ready: a.jpg (3 MB): 2 pictures made")
    mail = only_mail(mailbox)
    assert (mail["To"], mail["Subject"]) == ("+447700900000", mail.get_content().strip())
    assert next(mailbox.glob("*.eml")).stem.endswith("-sms")


def test_a_push_is_kept_with_the_device_that_it_is_for(mailbox: Path) -> None:
    endpoint = "arn:aws:sns:eu-west-1:000000000000:endpoint/APNS/studio/1234"
    assert sns_email.platform(endpoint) == "APNS"
    sns_email.push(endpoint, '{"aps": {"alert": "Ready"}}')
    mail = only_mail(mailbox)
    assert "APNS/studio/1234" in mail["To"]
    assert mail.get_content().strip() == '{"aps": {"alert": "Ready"}}'


@pytest.mark.parametrize(
    ("payload", "subject"),
    [
        ('{"notification": {"title": "Ready", "body": "a.jpg"}}', "Ready: a.jpg"),
        ('{"aps": {"alert": {"title": "Ready", "body": "a.jpg"}}}', "Ready: a.jpg"),
        ('{"aps": {"alert": "Ready"}}', "Ready"),
        ("[1]", "[1]"),
        ("plain words", "plain words"),
    ],
)
def test_a_push_is_listed_as_the_device_shows_it(mailbox: Path, payload: str, subject: str) -> None:
    sns_email.push("arn:aws:sns:eu-west-1:000000000000:endpoint/GCM/app/phone", payload)
    message = only_mail(mailbox)
    assert message["Subject"] == subject
    assert message.get_content().strip() == payload
