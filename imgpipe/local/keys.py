"""The project's own access key: random, and checked.

ministack takes any request signed with `test` or with twelve digits for the account's root user,
and doesn't check root's signatures; a request without a key it takes for root's on S3. Here one
random key is root's, its signature is checked like any other, and nothing else gets in but users
and roles that were made with it.
"""

from __future__ import annotations

import os
import secrets
import string
from dataclasses import asdict, dataclass

from imgpipe.local.layout import Layout, read_json, write_whole

ACCOUNT = "000000000000"
REGION = "us-east-1"

_KEY_LETTERS = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Keys:
    access_key: str
    secret_key: str
    token: str
    """Opens the server's own pages, such as its status."""

    def to_environment(self) -> None:
        """Tell ministack, which reads root's key from the environment."""
        os.environ["AWS_ACCESS_KEY_ID"] = self.access_key
        os.environ["AWS_SECRET_ACCESS_KEY"] = self.secret_key
        os.environ.pop("AWS_SESSION_TOKEN", None)


def of_project(layout: Layout) -> Keys:
    """Return the project's keys, made at the first call and the same ever after."""
    known = read_json(layout.keys)
    try:
        return Keys(**known)
    except TypeError:
        pass
    made = Keys(
        access_key="AKIA" + "".join(secrets.choice(_KEY_LETTERS) for _ in range(16)),
        secret_key=secrets.token_urlsafe(30),
        token=secrets.token_urlsafe(24),
    )
    write_whole(layout.keys, asdict(made))
    return made


def install(keys: Keys) -> None:
    """Make `keys` the only root key that ministack knows, and have its signatures checked."""
    from ministack.core import iam_evaluator
    from ministack.services import sts

    def is_root(access_key: str) -> bool:
        return access_key == keys.access_key

    iam_evaluator.is_root_access_key = is_root
    sts.is_root_access_key = is_root
    # This one asks which signatures to leave unchecked.
    iam_evaluator._is_root_key = lambda _access_key: False
