"""AWS says no: calls of a client that are refused as if a permission were missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError


def refuse(client: Any, *operations: str) -> Callable[[], None]:
    """Have these operations of `client` refused, all of them for none, until what is returned is called."""
    events, service = client.meta.events, client.meta.service_model.service_id.hyphenize()
    names = [f"before-call.{service}.{each}".rstrip(".") for each in operations or ("",)]

    def no(model: Any, **_: Any) -> None:
        error: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}}
        raise ClientError(error, model.name)

    def allow() -> None:
        for name in names:
            events.unregister(name, no)

    for name in names:
        events.register(name, no)
    return allow
