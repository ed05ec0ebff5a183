"""Mail and text messages about uploads with troublesome names: one mail, its own headers, nothing that is obeyed."""

from __future__ import annotations

import email
import email.policy
import json
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from imgpipe.local.corrections import sns_email
from imgpipe.runtime import notifier
from tests.fakes import SETTINGS, UPLOADS, FakeContext, FakeStore, Published, s3_event, sqs_event
from tests.uploads import keys
from tests.uploads.metadata import SCRIPT, STRANGE

FORGED = f"incoming/a\r\nBcc: other@studio.photo\r\n\r\nClick here\r\n.\r\n{SCRIPT}{STRANGE}.jpg"
ALL = (*keys.every(), FORGED)
SUBSCRIPTION = {
    "arn": "arn:aws:sns:us-east-1:000000000000:t:1",
    "topic_arn": "arn:aws:sns:us-east-1:000000000000:t",
    "endpoint": "studio@studio.photo",
    "protocol": "email",
}


def told(*names: str) -> list[Published]:
    """Return what is published when uploads of these names are received and refused."""
    store, settings = FakeStore(), replace(SETTINGS, digest=5)
    bodies = []
    for number, key in enumerate(names):
        end = {"id": str(number), "key": key, "status": "failed", "sequencer": "01", "size": 9}
        bodies.append(s3_event(store.upload(UPLOADS, key, b"x")))
        bodies.append(
            {**end, "v": 1, "version_id": "v1", "outputs": {}, "reason": STRANGE, "facts": {}}
        )
    assert notifier.run(sqs_event(*bodies), FakeContext(), store=store, settings=settings) == {
        "batchItemFailures": []
    }
    return store.published


def is_plain(text: str) -> bool:
    return all(line.isprintable() for line in text.replace("\N{NO-BREAK SPACE}", " ").split("\n"))


def test_what_is_published_holds_nothing_that_a_reader_obeys() -> None:
    for published in (*[each for key in ALL for each in told(key)], *told(*ALL)):
        assert published.subject.isascii()
        assert published.subject.isprintable()
        assert len(published.subject) < 100
        forms = json.loads(published.message) if published.message.startswith("{") else {}
        for text in (published.message, *published.forms.values(), *forms.values()):
            plain = (
                json.dumps(json.loads(text), ensure_ascii=False) if text.startswith("{") else text
            )
            assert is_plain(plain), plain


def test_a_name_adds_no_header_and_no_second_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGPIPE_MAIL_DIR", str(tmp_path))
    monkeypatch.setenv("GATEWAY_PORT", "4999")
    topic = {"attributes": {"DisplayName": ""}}
    sent = told(FORGED)
    for published in sent:
        sns_email.notify(SUBSCRIPTION, topic, published.subject, published.message)
    mails = sorted(tmp_path.glob("*.eml"))
    assert len(mails) == len(sent) == 2
    for path in mails:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        assert message["Bcc"] is None
        assert message["To"] == SUBSCRIPTION["endpoint"]
        assert message.get_content_type() == "text/plain"
        assert is_plain(message.get_content().replace("\r\n", "\n"))
