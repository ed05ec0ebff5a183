"""The keys that a function's process gets: a session of its role, which can't be guessed.

ministack computes them from the ARNs alone, so that whoever knows a function's name knows its keys.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from ministack.services import sts

if TYPE_CHECKING:
    from imgpipe.local.lambda_runtime.function import Function


class Credentials:
    """Makes sessions; `secret` is the project's own."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, function: Function) -> dict[str, str]:
        """Return the variables that carry the session of the function's role."""
        role = function.role.rsplit("/", 1)[-1]
        access_key = "ASIA" + base64.b32encode(self._derive("key", function)[:10]).decode()
        secret_key = base64.b64encode(self._derive("secret", function)).decode()
        token = self._derive("token", function).hex()
        sts.register_session(
            access_key,
            {
                "Arn": f"arn:aws:sts::{function.account}:assumed-role/{role}/{function.name[:64]}",
                "UserId": f"{role}:{function.name[:64]}",
                "SecretAccessKey": secret_key,
                "SessionToken": token,
            },
        )
        return {
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_SESSION_TOKEN": token,
        }

    def _derive(self, what: str, function: Function) -> bytes:
        text = f"{what}\0{function.arn}\0{function.role}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).digest()
