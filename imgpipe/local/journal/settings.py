"""What each service is set up to do (queues, topics, roles, functions, alarms, tables, buckets): one entry a service.

A request that changes settings marks its service, and the whole of that service's settings is written with its commit;
they are small, because messages, rows, objects, logs and code have their places elsewhere. Services that hold more than
settings say in `describe` what to save in place of ministack's `get_state`.

Restoring goes through ministack's own `load_persisted_state`, which asks for a service's state by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import persistence

from imgpipe.local.journal.requests import Request
from imgpipe.local.journal.store import Journal

KIND = "settings"

Describe = Callable[[], dict[str, Any]]

_STATE_KEYS = {
    "s3": "s3",
    "sqs": "sqs",
    "sns": "sns",
    "dynamodb": "dynamodb",
    "lambda": "lambda",
    "iam": "iam",
    "sts": "sts",
    "monitoring": "cloudwatch",
    "logs": "cloudwatch_logs",
    "events": "eventbridge",
}
"""A request's signing name -> ministack's name of the service's state."""

ENCODE_TRIES = 5

_describe: dict[str, Describe] = {}


def describe(state_key: str, description: Describe) -> None:
    """Save what `description` returns as the settings of a service."""
    _describe[state_key] = description


class Settings:
    """Saves the settings of services, and finds them again at the next start."""

    def __init__(self, book: Journal) -> None:
        self._journal = book

    def changed(self, request: Request) -> None:
        if not request.changes_settings():
            return
        known = _STATE_KEYS.get(request.service)
        for key in [known] if known else loaded_services():
            self.save(key)

    def save(self, key: str) -> None:
        self._journal.mark(KIND, key, lambda: self._encode(key))

    def _encode(self, key: str) -> str | None:
        for _ in range(ENCODE_TRIES):
            try:
                return self._encode_once(key)
            except RuntimeError:  # a thread changed a dict's size meanwhile
                continue
        return self._encode_once(key)

    def _encode_once(self, key: str) -> str | None:
        module = sys.modules.get(f"ministack.services.{app._state_map[key]}")
        state = _describe[key]() if key in _describe else getattr(module, "get_state", dict)()
        return json.dumps(state, default=persistence._json_default)

    def load(self) -> dict[str, Any]:
        return {
            key: json.loads(text, object_hook=persistence._json_object_hook)
            for key, text in self._journal.load(KIND)
        }


def loaded_services() -> list[str]:
    """Return the names of all services that were used and have state."""
    return [
        key
        for key, module in app._state_map.items()
        if hasattr(sys.modules.get(f"ministack.services.{module}"), "get_state")
    ]


def install(book: Journal, restore: Callable[[], None]) -> Settings:
    """Make ministack load its state from the journal, and save none by itself.

    `restore` is called when the settings are back, to bring the data.
    """
    settings = Settings(book)
    found: dict[str, Any] = {}

    def load_state(key: str) -> Any:
        if not found:
            found.update(settings.load() or {"": None})
        return found.pop(key, None)

    stock_load = app._load_persisted_state

    def load_all() -> None:
        stock_load()
        restore()

    app.PERSIST_STATE = True
    app._load_persisted_state = load_all
    app.load_state = load_state
    app.save_all = lambda _services: book.commit()
    return settings
