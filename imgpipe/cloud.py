"""The one seam to boto3: an environment -> a session and an endpoint -> clients.

Two things happen here and nowhere else: the choice between AWS and the embedded cloud (an endpoint URL, read from the
lock file that the embedded cloud writes), and the translation of the SDK's exceptions (`explain`). Clients are
thread-safe and made once a service, because `up` uses them from many threads.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from imgpipe.errors import (
    CloudError,
    CredentialsError,
    DeniedError,
    FullDiskError,
    ImgpipeError,
    MissingError,
    ThrottledError,
    UnreachableError,
)
from imgpipe.runtime.log import without_secrets

if TYPE_CHECKING:
    import boto3

LOCAL = "local"
LOCK_FILE = Path(".imgpipe") / "cloud.json"
"""Written by the embedded cloud when it is ready to serve: endpoint, region, account, access_key, secret_key, pid."""

POOL_CONNECTIONS = 50
CONNECT_S, READ_S = 3, 70
"""How long a call may wait for a connection, and for each next part of an answer, which a function that is invoked
takes its time for.
"""
FIRST_CONNECTIONS = 2
"""Attempts to reach an endpoint that never answered yet. One that did is worth all 8: it may be back in a moment."""
TROUBLE_HEADER = "x-imgpipe-trouble"
"""What the embedded cloud adds to its answers while its disk takes no more, percent-encoded."""
FREE_SPACE = "free some space there; what was accepted is kept"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an environment lives: AWS's credential chain by profile and Region, or an endpoint with its own keys."""

    environment: str
    profile: str | None = None
    region: str | None = None
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None


class Cloud:
    """Clients for one account and Region. Making one calls nothing; `account` asks STS once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._lock = threading.RLock()
        self._clients: dict[str, Any] = {}
        self._session: boto3.Session | None = None
        self._account: str | None = None
        self.trouble = ""
        """What the endpoint said in its last answer that keeps it from working; "" when nothing does."""
        self.impatient = False
        """Whether a person looks on: then an endpoint that fell silent is given up early too."""
        self._answered = False

    @property
    def endpoint(self) -> str | None:
        return self.target.endpoint

    @property
    def region(self) -> str:
        region = self.session.region_name
        if not region:
            raise CredentialsError(
                f"environment {self.target.environment}",
                "no Region is set",
                hint="add `region:` to the environment in pipeline.yaml, or export AWS_DEFAULT_REGION",
            )
        return region

    @property
    def account(self) -> str:
        with self._lock:
            if self._account is None:
                self._account = str(self.client("sts").get_caller_identity()["Account"])
            return self._account

    @property
    def session(self) -> boto3.Session:
        import boto3
        from botocore.exceptions import ProfileNotFound

        with self._lock:
            if self._session is None:
                try:
                    self._session = boto3.Session(
                        profile_name=self.target.profile,
                        region_name=self.target.region,
                        aws_access_key_id=self.target.access_key,
                        aws_secret_access_key=self.target.secret_key,
                    )
                except ProfileNotFound as error:
                    raise CredentialsError(
                        f"profile {self.target.profile}",
                        "there is no such profile in your AWS configuration",
                        hint="aws configure list-profiles",
                    ) from error
            return self._session

    def client(self, service: str) -> Any:
        """Return the client for `service`, such as `sqs`. Retries are botocore's `standard` mode, 8 attempts."""
        from botocore.config import Config

        with self._lock:
            if service not in self._clients:
                style: Any = {"addressing_style": "path" if self.endpoint else "virtual"}
                session: Any = self.session
                made = session.client(
                    service,
                    endpoint_url=self.endpoint,
                    config=Config(
                        retries={"mode": "standard", "total_max_attempts": 8},
                        max_pool_connections=POOL_CONNECTIONS,
                        connect_timeout=CONNECT_S,
                        read_timeout=READ_S,
                        signature_version="s3v4" if service == "s3" else None,
                        s3=style,
                    ),
                )
                made.meta.events.register("after-call", self._listen)
                made.meta.events.register("needs-retry", self._give_up_early)
                self._clients[service] = made
            return self._clients[service]

    def _give_up_early(self, caught_exception: Exception | None, attempts: int, **_: Any) -> None:
        """Raise, in place of trying for half a minute, where nothing was ever heard, or somebody looks on."""
        from botocore.exceptions import ConnectionError as NotConnectedError

        if (self._answered and not self.impatient) or attempts < FIRST_CONNECTIONS:
            return
        if isinstance(caught_exception, NotConnectedError):
            raise caught_exception

    def _listen(self, parsed: Any, **_: Any) -> None:
        self._answered = True
        headers = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        self.trouble = unquote(headers.get(TROUBLE_HEADER, ""))


def local_target(folder: Path) -> Target:
    """Return the target of the embedded cloud that serves the project in `folder`.

    Raises UnreachableError when none was started, or when its process died without saying so.
    """
    # Where nothing was ever up, there is nothing to start but the pipeline.
    hint = "imgpipe local start" if (folder / LOCK_FILE).parent.is_dir() else "imgpipe up"
    try:
        lock = json.loads((folder / LOCK_FILE).read_text())
    except (OSError, ValueError) as error:
        raise UnreachableError("the embedded cloud", "it is not running here", hint=hint) from error
    if not _answers(int(lock["port"])):
        raise UnreachableError(
            "the embedded cloud", "it ended without saying so; what it accepted is kept", hint=hint
        )
    return Target(
        environment=LOCAL,
        region=lock["region"],
        endpoint=lock["endpoint"],
        access_key=lock["access_key"],
        secret_key=lock["secret_key"],
    )


def _answers(port: int) -> bool:
    """Return whether something listens on a port of this machine: quicker to ask than to retry in vain."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def aws_target(environment: str, profile: str | None, region: str | None) -> Target:
    return Target(
        environment=environment,
        profile=profile,
        region=region,
        endpoint=os.environ.get("AWS_ENDPOINT_URL"),
    )


_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
    "403",
}
_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "AuthFailure",
}
_WRONG_CLOCK = ("RequestTimeTooSkewed", "Signature expired", "Signature not yet current")
"""How S3 and the others say that a request was signed at another time than theirs."""
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "ProvisionedThroughputExceededException",
}


_FULL = {"InsufficientStorage", "507"}
_LACKING = re.compile(r"not authorized to perform: ([\w-]+:\w+)")
_ACTIONS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListParts": "s3:ListMultipartUploadParts",
    "GetObject": "s3:GetObject, or s3:ListBucket where it may not be there",
    "HeadObject": "s3:GetObject, or s3:ListBucket where it may not be there",
    "DeleteObjects": "s3:DeleteObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
}
"""The actions that S3 asks for where the call is called otherwise: an answer to HEAD, for one, says nothing.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html for those of objects that aren't there.
"""


def error_code(error: BaseException) -> str:
    """Return AWS's code for a ClientError, such as `NoSuchKey`; "" for any other exception."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return ""
    return str(response.get("Error", {}).get("Code", ""))


def explain(error: BaseException, what: str) -> ImgpipeError:
    """Translate an SDK exception that was met while doing `what` into one that a person can act on.

    What it quotes of signatures and tokens is left out.
    """
    if isinstance(error, ImgpipeError):
        return error
    told = _explained(error, what)
    return type(told)(told.what, without_secrets(told.why), hint=told.hint)


def _explained(error: BaseException, what: str) -> ImgpipeError:
    from botocore import exceptions as sdk

    if isinstance(error, sdk.ClientError):
        return _explain_refusal(error, what)
    if isinstance(
        error, sdk.NoCredentialsError | sdk.PartialCredentialsError | sdk.CredentialRetrievalError
    ):
        return CredentialsError(
            what,
            f"no usable AWS credentials ({error})",
            hint="aws configure, or set AWS_PROFILE, or use --env local",
        )
    if isinstance(error, sdk.TokenRetrievalError | sdk.SSOError):
        return CredentialsError(what, f"your sign-in has expired ({error})", hint="aws sso login")
    return _explain_silence(error, what) or CloudError(what, str(error))


def _explain_silence(error: BaseException, what: str) -> UnreachableError | None:
    """Return the error for an endpoint that gave no answer, or none that AWS would give."""
    from botocore import exceptions as sdk
    from botocore.parsers import ResponseParserError

    if isinstance(error, sdk.ConnectionError | sdk.HTTPClientError):
        return UnreachableError(
            what,
            f"no answer from the cloud ({error})",
            hint="check your network; for the embedded cloud, imgpipe local status",
        )
    if isinstance(error, ResponseParserError):
        return UnreachableError(
            what,
            f"what answered is not AWS ({' '.join(str(error).split())[:120]})",
            hint="check AWS_ENDPOINT_URL and your proxy",
        )
    return None


def _after(text: str, words: str) -> str:
    """Return what follows `words` in `text`; an answer to HEAD has no text."""
    return text.partition(words)[2] or text or "its disk takes no more"


def _lacking(operation: str, said: str) -> str:
    """Return the action that a refusal names, such as `s3:ListBucket`; else the one that the call asks for."""
    if found := _LACKING.search(said):
        return found[1]
    return _ACTIONS.get(operation, f"the permission for {operation}")


def _renewal(said: str) -> str:
    """Return what makes signatures good again."""
    if any(sign in said for sign in _WRONG_CLOCK):
        return "set this machine's clock, which AWS wants to be right to 5 minutes, and run again"
    return "renew your credentials (aws sso login, aws configure) and run again"


def _explain_refusal(error: Any, what: str) -> CloudError:
    code, message = error_code(error), error.response.get("Error", {}).get("Message", "")
    if code in _FULL:
        return FullDiskError(
            "the embedded cloud", _after(message, "to its disk: "), hint=FREE_SPACE
        )
    why = f"{error.operation_name}: {code}: {message}"
    if code in _DENIED:
        hint = f"grant {_lacking(error.operation_name, message)} and run again"
        return DeniedError(what, why, hint=hint)
    if code in _EXPIRED:
        return CredentialsError(what, why, hint=_renewal(why))
    if code in _THROTTLED:
        return ThrottledError(
            what, why, hint="wait a minute and run again: it goes on where it stopped"
        )
    if "NotFound" in code or code.startswith("NoSuch") or "NonExistent" in code or code == "404":
        return MissingError(what, why, hint="imgpipe up, if the pipeline is not up")
    return CloudError(what, why)
