"""Puts the journal under ministack: each service's data into entries, and every answer behind the gate.

Call `install` before the server serves and before other corrections wrap the same functions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app
from ministack.services import s3, sts

from imgpipe.local import journal
from imgpipe.local.journal import (
    alarms,
    functions,
    logs,
    messages,
    objects,
    refusal,
    rows,
    settings,
)
from imgpipe.local.journal.answers import Durable
from imgpipe.local.journal.blobs import Blobs
from imgpipe.local.journal.requests import Request
from imgpipe.local.journal.store import Journal, JournalError


def install() -> None:
    book = journal.current()
    blobs = Blobs(journal.folder() / "blobs")
    stored = objects.Objects(book, blobs)
    code = functions.Code()

    def restore() -> None:
        messages.restore(book)
        rows.restore(book)
        stored.restore()
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

    messages.install(book)
    rows.install(book)
    objects.install(stored, blobs)
    s3.handle_request = _refusing(s3.handle_request, stored)
    alarms.install(saved)
    logged.install()
    app.app = Durable(app.app, book, _noting(book, saved))


def _noting(book: Journal, saved: settings.Settings) -> Callable[[Request], None]:
    def changed(request: Request) -> None:
        saved.changed(request)
        if request.service == "monitoring" and request.action == "PutMetricData":
            alarms.metrics_changed(book)

    return changed


Handler = Callable[..., Awaitable[tuple[int, dict[str, str], Any]]]


def _refusing(stock: Handler, stored: objects.Objects) -> Handler:
    """Answer 507 for a body that the disk doesn't take."""

    async def handle(method: str, path: str, headers: Any, *args: Any, **named: Any) -> Any:
        try:
            return await stock(method, path, headers, *args, **named)
        except JournalError as error:
            content_type, text = refusal.document("s3", str(error))
            return refusal.STATUS, {"Content-Type": content_type}, text
        finally:
            stored.forget()

    return handle
