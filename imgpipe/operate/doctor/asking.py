"""Reads that don't end the examination: what isn't there is None, what may not be read is noted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from imgpipe.cloud import error_code, explain
from imgpipe.deploy.providers.site import is_absent
from imgpipe.errors import CredentialsError, MissingError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgpipe.cloud import Cloud

T = TypeVar("T")


@dataclass(slots=True)
class Asking:
    """Clients, and the list of what could not be read."""

    cloud: Cloud
    unread: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    def ask(self, what: str, call: Callable[[], T]) -> T | None:
        """Return the answer; None for what isn't there, and for what is refused, which is noted.

        Raises UnreachableError and CredentialsError: then nothing else would answer either.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and is_absent(error):
                return None
            known = explain(error, what)
            if isinstance(known, UnreachableError | CredentialsError):
                raise known from error
            if not isinstance(known, MissingError):
                self._note(f"{what}: {error_code(error) or known.why}")
            return None

    def _note(self, text: str) -> None:
        with self._lock:
            if text not in self.unread:
                self.unread.append(text)
