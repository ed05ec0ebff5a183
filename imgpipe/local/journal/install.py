"""Puts the journal under ministack: each service's data into entries, and every answer behind the gate.

Call `install` before the server serves and before other corrections wrap the same functions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app
from ministack.services import s3, sns, sts

from imgpipe.local import disk, journal
from imgpipe.local.journal import (
    alarms,
    bodies,
    functions,
    logs,
    messages,
    objects,
    refusal,
    rows,
    settings,
    uploads,
)
from imgpipe.local.journal.answers import Durable
from imgpipe.local.journal.blobs import Blobs
from imgpipe.local.journal.requests import Request
from imgpipe.local.journal.store import Journal, JournalError


def install() -> None:
    book = journal.current()
    blobs = Blobs(journal.folder() / "blobs")
    kept = bodies.Bodies(blobs)
    stored = objects.Objects(book, blobs, kept)
    unfinished = uploads.Uploads(book, blobs, kept)
    items = rows.Rows(book)
    code = functions.Code()

    def restore() -> None:
        messages.restore(book)
        items.restore()
        stored.restore()
        unfinished.restore()
        blobs.sweep()
        functions.restore(code)
        alarms.restore(book)
        logged.restore()

    saved = settings.install(book, restore)
    logged = logs.Logs(book, saved)
    settings.describe("sqs", messages.describe)
    settings.describe("dynamodb", rows.describe)
    settings.describe("lambda", lambda: functions.describe(code))
    settings.describe("cloudwatch", alarms.describe)
    settings.describe("cloudwatch_logs", logs.describe)
    settings.describe("sts", lambda: {"sessions": dict(sts._sessions)})
    sts.load_persisted_state = lambda state: sts._sessions.update(state.get("sessions", {}))

    messages.install(book, lambda: saved.save("sqs"))
    items.install()
    bodies.install(kept)
    stored.install()
    unfinished.install()
    book.after_commit.append(blobs.settle)
    s3.handle_request = _refusing("s3", s3.handle_request, kept.forget)
    sns.handle_request = _refusing("query", sns.handle_request, lambda: None)
    alarms.install(saved)
    logged.install()
    app.app = Durable(app.app, book, _noting(book, saved))


def _noting(book: Journal, saved: settings.Settings) -> Callable[[Request], None]:
    def changed(request: Request) -> None:
        saved.changed(request)
        if request.service == "monitoring" and request.action == "PutMetricData":
            alarms.metrics_changed(book)
        elif (
            request.service == "sns" and request.action.startswith("Publish") and _has_fifo_topics()
        ):
            saved.save("sns")

    return changed


def _has_fifo_topics() -> bool:
    return any(topic["attributes"].get("FifoTopic") == "true" for topic in sns._topics.all_values())


Handler = Callable[..., Awaitable[tuple[int, dict[str, str], Any]]]


def _refusing(protocol: str, stock: Handler, afterwards: Callable[[], None]) -> Handler:
    """Answer 507 when the disk doesn't take what the handler writes by itself: a body, a mail."""

    async def handle(*args: Any, **named: Any) -> Any:
        try:
            return await stock(*args, **named)
        except JournalError as error:
            why = disk.trouble(journal.folder(), str(error)) or str(error)
            content_type, text = refusal.document(protocol, why)
            return refusal.STATUS, {"Content-Type": content_type}, text
        finally:
            afterwards()

    return handle
