"""Functions' own HTTPS addresses, and whose pages may call them. What the address is, only AWS knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy import resources as r
from imgpipe.deploy.providers.site import Site, found, gone
from imgpipe.deploy.resources import Key

CORS_AGE_S = 3000
METHODS = ["POST"]
HEADERS = ["content-type"]
"""What a page may send: its question as JSON. Pages have no keys, so they need no headers for a signature."""


class Urls:
    """The URL of a function without versions or aliases; there is one at most."""

    def __init__(self, site: Site) -> None:
        self._lambda = site.client("lambda")

    def read(self, anchor: str, _declared: Mapping[Key, r.FunctionUrl]) -> Iterable[r.FunctionUrl]:
        there = self._there(anchor)
        if there:
            shared = there.get("Cors") or {}
            origins = tuple(shared.get("AllowOrigins", ()))
            as_ours = _comparable(shared) == _comparable(cors(origins))
            yield r.FunctionUrl(
                function=anchor,
                auth=there.get("AuthType", "NONE"),
                origins=origins if as_ours else ("?",),
            )

    def create(self, wanted: r.FunctionUrl) -> None:
        try:
            self._lambda.create_function_url_config(**_request(wanted))
        except ClientError as error:
            if error_code(error) != "ResourceConflictException":
                raise
            self.update(wanted, wanted)

    def update(self, wanted: r.FunctionUrl, _before: r.FunctionUrl) -> None:
        self._lambda.update_function_url_config(**_request(wanted))

    def delete(self, before: r.FunctionUrl) -> None:
        gone(lambda: self._lambda.delete_function_url_config(FunctionName=before.function))

    def address(self, function: str) -> str:
        """Return the URL that AWS gave it; nothing for a function without one."""
        return str((self._there(function) or {}).get("FunctionUrl", ""))

    def _there(self, function: str) -> dict[str, Any] | None:
        return found(lambda: self._lambda.get_function_url_config(FunctionName=function))


def cors(origins: Iterable[str]) -> dict[str, Any]:
    """Return what lets pages of `origins` call a URL, in the words that Lambda and CloudFormation share."""
    if not (allowed := list(origins)):
        return {}
    return {
        "AllowOrigins": allowed,
        "AllowMethods": METHODS,
        "AllowHeaders": HEADERS,
        "MaxAge": CORS_AGE_S,
    }


def _comparable(shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that say something; lists come back in any order."""
    return {
        name: sorted(value) if isinstance(value, list) else value
        for name, value in shared.items()
        if value
    }


def _request(wanted: r.FunctionUrl) -> dict[str, Any]:
    return {
        "FunctionName": wanted.function,
        "AuthType": wanted.auth,
        "Cors": cors(wanted.origins),
        "InvokeMode": "BUFFERED",
    }
