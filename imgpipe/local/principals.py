"""Who a key belongs to, and what they may do: found out once, remembered until IAM changes.

ministack gathers and parses the policies of the caller twice a request, a tenth of the server's
work. Signatures, and whether a key is still good, are checked for each request all the same.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam, sts

from imgpipe.local.corrections import permissions

REMEMBER_S = 1.0
"""A bound for changes that don't come as requests to IAM, such as CloudFormation's."""
MAX_KNOWN = 500

Handler = Callable[..., Awaitable[Any]]

_stock_resolve = iam_evaluator.resolve_principal
_known: dict[tuple[str, str], tuple[float, iam_evaluator.PrincipalInfo]] = {}


def _resolve(access_key: str, account: str, credential: Any = None) -> Any:
    now = time.monotonic()
    at, principal = _known.get((access_key, account), (0.0, None))
    if principal is not None and now - at < REMEMBER_S:
        return principal
    principal = _stock_resolve(access_key, account, credential)
    if isinstance(principal, iam_evaluator.PrincipalInfo):
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        _known[access_key, account] = (now, principal)
    return principal


def _forgetting(handler: Handler) -> Handler:
    async def handle(*args: Any, **named: Any) -> Any:
        try:
            return await handler(*args, **named)
        finally:
            _known.clear()
            permissions.forget()

    return handle


def install() -> None:
    iam_evaluator.resolve_principal = _resolve
    iam.handle_request = _forgetting(iam.handle_request)
    sts.handle_request = _forgetting(sts.handle_request)
