"""Puts the journal under ministack: each service's data into entries, and every answer behind the gate."""

from __future__ import annotations

from ministack import app

from imgpipe.local import journal
from imgpipe.local.journal import settings
from imgpipe.local.journal.answers import Durable


def install() -> None:
    book = journal.current()
    saved = settings.install(book)
    app.app = Durable(app.app, book, saved.changed)
