"""The gate: no answer leaves before its changes are on disk, and no change is taken that the disk refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from imgpipe.local.journal.answers import Durable
from imgpipe.local.journal.requests import Request
from imgpipe.local.journal.store import Journal, JournalError


class Disk(Journal):
    """A journal whose disk can be full."""

    full = False

    def _write(self, rows: Any) -> None:
        if self.full:
            import sqlite3

            raise sqlite3.OperationalError("database or disk is full")
        super()._write(rows)


class Service:
    """An application that marks an entry and answers; it notes what was on disk when its answer left."""

    def __init__(self, journal: Journal, status: int = 200) -> None:
        self.journal, self.status, self.calls = journal, status, 0

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.calls += 1
        if scope["method"] != "GET":
            self.journal.mark("item", "a", lambda: "x")
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "journal.db")


def ask(service: Service, method: str, **headers: str) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return the status, the body, and what was on disk when the head of the answer left."""
    sent: list[Any] = []
    on_disk: list[tuple[str, str]] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            on_disk.extend(service.journal.load("item"))
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    credential = "AWS4-HMAC-SHA256 Credential=A/20261121/eu-west-1/s3/aws4_request, x"
    named = {"authorization": credential, **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": "/bucket/key",
        "query_string": b"",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in named.items()
        ],
    }
    changed: list[Request] = []
    asyncio.run(Durable(service, service.journal, changed.append)(scope, receive, send))
    return sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:]), on_disk


def test_what_a_request_changed_is_on_disk_before_its_answer_leaves(disk: Disk) -> None:
    assert ask(Service(disk), "PUT") == (200, b"done", [("a", "x")])


def test_a_change_that_the_disk_does_not_take_is_refused(disk: Disk) -> None:
    disk.full = True
    status, body, _ = ask(Service(disk), "PUT")

    assert status == 507
    assert b"<Code>InsufficientStorage</Code>" in body


def test_a_full_disk_refuses_the_next_change_untouched_and_serves_reads(disk: Disk) -> None:
    disk.full = True
    service = Service(disk)
    ask(service, "PUT")
    assert ask(service, "PUT")[0] == 507
    assert service.calls == 1
    assert ask(service, "GET")[:2] == (200, b"done")


def test_with_room_again_what_was_left_is_written_with_the_next_change(disk: Disk) -> None:
    disk.full = True
    service = Service(disk)
    ask(service, "PUT")
    disk.full = False

    assert ask(service, "GET") == (200, b"done", [("a", "x")])
    assert not disk.failing


@pytest.mark.parametrize(
    ("headers", "shape"),
    [
        ({"authorization": "Credential=A/20261121/eu-west-1/s3/aws4_request"}, b"<Error><Code>"),
        (
            {
                "authorization": "Credential=A/20261121/eu-west-1/sns/aws4_request",
                "content_type": "application/x-www-form-urlencoded",
            },
            b"<ErrorResponse><Error>",
        ),
        (
            {
                "authorization": "Credential=A/20261121/eu-west-1/sqs/aws4_request",
                "x_amz_target": "AmazonSQS.SendMessage",
            },
            b'{"__type": "InsufficientStorage"',
        ),
    ],
)
def test_a_refusal_speaks_the_request_s_protocol(
    disk: Disk, headers: dict[str, str], shape: bytes
) -> None:
    disk.full = True

    assert shape in ask(Service(disk), "POST", **headers)[1]


def test_a_failing_request_commits_what_it_changed_before_it_failed(disk: Disk) -> None:
    assert ask(Service(disk, status=400), "PUT") == (400, b"done", [("a", "x")])


def test_a_commit_that_fails_says_which_file(disk: Disk) -> None:
    disk.full = True
    disk.mark("item", "a", lambda: "x")
    with pytest.raises(JournalError, match=r"journal\.db: database or disk is full"):
        disk.commit()
