"""Clients that refuse some calls before they let them through, as AWS does while it settles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


def refusal(operation: str, code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class RefusingClients:
    """Passes everything on to `clients`; `refuse` makes the next calls of a method raise."""

    clients: Any
    waiting: dict[tuple[str, str], list[Exception]] = field(default_factory=dict)
    after: dict[tuple[str, str], Callable[[], None]] = field(default_factory=dict)

    def refuse(self, service: str, method: str, *errors: Exception) -> None:
        self.waiting[service, method] = list(errors)

    def then(self, service: str, method: str, what: Callable[[], None]) -> None:
        """Do `what` after each call of a method: somebody else who is at work at the same time."""
        self.after[service, method] = what

    def client(self, service: str) -> Any:
        return _Client(self, service, self.clients.client(service))


@dataclass
class _Client:
    owner: RefusingClients
    service: str
    real: Any

    def __getattr__(self, method: str) -> Any:
        real = getattr(self.real, method)
        key = (self.service, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.owner.waiting.get(key):
                raise self.owner.waiting[key].pop(0)
            answer = real(*args, **kwargs)
            if key in self.owner.after:
                self.owner.after[key]()
            return answer

        return call
